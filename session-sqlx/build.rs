//! Migrations are embedded at compile time; a new file among them is a reason to compile anew.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
