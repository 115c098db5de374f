//! What a process took, as the kernel counts it.

use std::time::Duration;

use crate::BenchError;

/// Ticks of a second in `/proc/PID/stat` (`USER_HZ`, 100 on every architecture that Lambda has).
const TICKS: u32 = 100;

/// User and system time of a process and its ended threads, since it was started. Also of one that
/// has ended and was not waited for yet.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn cpu(process: u32) -> Result<Duration, BenchError> {
    let stat = read(process, "stat")?;
    cpu_of(&stat).ok_or(BenchError::Unaccounted("the time of a process"))
}

fn cpu_of(stat: &str) -> Option<Duration> {
    // The second field is a name in brackets that may hold anything; utime and stime are the
    // fourteenth and fifteenth (proc_pid_stat(5)).
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u32 = fields.get(11)?.parse().ok()?;
    let in_system: u32 = fields.get(12)?.parse().ok()?;
    Some(Duration::from_secs(1) * (ticks + in_system) / TICKS)
}

/// Nanoseconds that the threads a process has now spent on a processor (proc(5), `schedstat`).
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn ran_for(process: u32) -> Result<u64, BenchError> {
    const WHAT: BenchError = BenchError::Unaccounted("the time of a process's threads");
    let path = format!("/proc/{process}/task");
    let mut ran_for = 0;
    for thread in std::fs::read_dir(&path).map_err(BenchError::io(path))? {
        let file = thread.map_err(|_| WHAT)?.path().join("schedstat");
        // A thread may have ended since it was listed.
        let Ok(line) = std::fs::read_to_string(file) else {
            continue;
        };
        let first = line.split_whitespace().next();
        let first = first.and_then(|number| number.parse::<u64>().ok());
        ran_for += first.ok_or(WHAT)?;
    }
    Ok(ran_for)
}

/// Whether the process has ended and was not waited for yet.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn has_ended(process: u32) -> Result<bool, BenchError> {
    let stat = read(process, "stat")?;
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    Ok(rest.trim_start().starts_with('Z'))
}

/// The highest resident set of a running process since its program was loaded, in KiB.
///
/// `ru_maxrss` would not do: a child starts with its parent's.
///
/// # Errors
/// There is no such process, or no `/proc`.
pub fn peak_kib(process: u32) -> Result<u64, BenchError> {
    let status = read(process, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or(BenchError::Unaccounted("the memory of a process"))
}

fn read(process: u32, file: &str) -> Result<String, BenchError> {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).map_err(BenchError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_past_a_name_with_brackets() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 9 9 20 0 1 0 1 1 1";
        assert_eq!(cpu_of(stat), Some(Duration::from_secs(3)));
    }
}
