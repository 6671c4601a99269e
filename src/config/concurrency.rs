//! `WEIRGATE_CONCURRENCY`: a number for all queues, then exceptions, such as `8,kpi=16`.

use weirgate_queue::Concurrency;

/// Most jobs at once in a queue of one worker.
const MOST: usize = 10_000;

/// Reads the setting; in an error, what is wrong and what was expected.
pub(super) fn parse(text: &str) -> Result<Concurrency, String> {
    let mut parts = text.split(',').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let each = number(first).ok_or_else(|| {
        format!(
            "{first:?} comes first where a whole number from 1 to {MOST} for all queues was expected, such as 8 or \
             8,kpi=16"
        )
    })?;
    parts.try_fold(Concurrency::from(each), |concurrency, part| {
        let (queue, jobs) = exception(part).ok_or_else(|| {
            format!("{part:?} is not a queue with a whole number from 1 to {MOST}, such as kpi=16")
        })?;
        if concurrency.exceptions().contains_key(queue) {
            return Err(format!("the queue {queue} is named twice"));
        }
        Ok(concurrency.with(queue, jobs))
    })
}

fn exception(text: &str) -> Option<(&str, usize)> {
    let (queue, jobs) = text.split_once('=')?;
    let queue = queue.trim();
    (!queue.is_empty()).then_some((queue, number(jobs.trim())?))
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| (1..=MOST).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_for_all_queues_but_the_exceptions() {
        assert_eq!(parse("8"), Ok(Concurrency::from(8)));
        assert_eq!(parse("8,kpi=16"), Ok(Concurrency::from(8).with("kpi", 16)));
        let two = Concurrency::from(1).with("kpi", 10_000).with("smartqueue.call", 2);
        assert_eq!(parse(" 1 , kpi = 10000 ,smartqueue.call=2"), Ok(two));
    }

    #[test]
    fn a_wrong_part_is_named_with_what_was_expected() {
        for (text, part) in [
            ("0", "\"0\""),
            ("10001", "\"10001\""),
            ("kpi=16", "\"kpi=16\" comes first"),
            ("8,", "\"\" is not a queue"),
            ("8,kpi", "\"kpi\" is not a queue"),
            ("8,kpi=0", "\"kpi=0\""),
            ("8,=4", "\"=4\""),
            ("8,kpi=many", "such as kpi=16"),
            ("8,kpi=2,kpi=3", "the queue kpi is named twice"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
