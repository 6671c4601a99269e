//! What the operating system knows of this process, under the names that all of Prometheus' clients
//! use.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::families::Families;

/// Linux only; elsewhere it has nothing to say.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(usage) = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| Usage::parse(&stat))
        else {
            return Ok(());
        };
        let mut families = Families::new(encoder);
        #[expect(clippy::cast_precision_loss, reason = "bytes and ticks are far below 2^52")]
        let (cpu, memory) = (
            usage.cpu_ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            usage.pages as f64 * rustix::param::page_size() as f64,
        );
        families.counter("process_cpu_seconds", "User and system CPU time", &cpu)?;
        families.gauge("process_resident_memory_bytes", "Resident memory", memory)
    }
}

/// Of `/proc/self/stat`; see `proc_pid_stat(5)`.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    cpu_ticks: u64,
    pages: u64,
}

impl Usage {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // `fields[0]` is the third field.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: field(14)? + field(15)?, pages: field(24)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_no_trouble() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 1000000 4321 \
                    18446744073709551615 1 1 0";
        assert_eq!(Usage::parse(stat), Some(Usage { cpu_ticks: 300, pages: 4321 }));
        assert_eq!(Usage::parse("7 (short) S 1"), None);
    }
}
