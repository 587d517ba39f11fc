//! Text of SQL is written in the source and nowhere put together.

use std::path::Path;

#[test]
fn no_statement_is_put_together() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = 0;
    let mut folders = vec![source];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            // Tests explain statements; comments explain code.
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                // The driver takes literals alone, unless told that a text is safe.
                for way in ["AssertSqlSafe", "QueryBuilder", "format!"] {
                    assert!(!line.contains(way), "{}: {line}", path.display());
                }
            }
        }
    }
    assert!(files > 10, "{files} files");
}
