//! Processor time, from what the kernel says of processes (Linux alone).

use std::fs;

use crate::Failure;

/// The kernel counts in hundredths of a second on every machine that Rust's Linux targets know.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the kernel says of one process.
#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    own_ticks: u64,
    /// Of children that have ended and were waited for.
    ended_ticks: u64,
}

/// Processor seconds of a process that has used them in all its threads, user and system.
///
/// # Errors
/// Where there is no such process.
pub fn seconds_of(process: u32) -> Result<f64, Failure> {
    Ok(seconds(stat(process)?.own_ticks))
}

/// Processor seconds of a process and of all its children, those that have ended included.
///
/// # Errors
/// Where there is no such process.
pub fn seconds_of_family(process: u32) -> Result<f64, Failure> {
    let own = stat(process)?;
    let mut ticks = own.own_ticks.saturating_add(own.ended_ticks);
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while we look.
        if let Ok(stat) = stat(child)
            && stat.parent == process
        {
            ticks = ticks.saturating_add(stat.own_ticks);
        }
    }
    Ok(seconds(ticks))
}

/// Processor seconds of the children of this process that have ended.
///
/// # Errors
/// Where the kernel does not say.
pub fn seconds_of_ended_children() -> Result<f64, Failure> {
    Ok(seconds(stat(std::process::id())?.ended_ticks))
}

/// The parent of a process.
///
/// # Errors
/// Where there is no such process.
pub fn parent_of(process: u32) -> Result<u32, Failure> {
    Ok(stat(process)?.parent)
}

fn stat(process: u32) -> Result<Stat, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program is in brackets, and may hold blanks and brackets itself.
    let (_, rest) = text.rsplit_once(')').ok_or("no name in a stat file")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |index: usize| -> Result<u64, Failure> {
        Ok(fields.get(index).ok_or("a short stat file")?.parse()?)
    };
    Ok(Stat {
        parent: u32::try_from(number(1)?)?,
        own_ticks: number(11)?.saturating_add(number(12)?),
        ended_ticks: number(13)?.saturating_add(number(14)?),
    })
}

#[allow(
    clippy::cast_precision_loss,
    reason = "far fewer ticks than a float tells apart"
)]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}
