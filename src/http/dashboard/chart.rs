//! Charts as plain SVG: bars or lines over time, with the numbers in a table beside them.

use std::fmt::Write;

use az::SaturatingAs;
use chrono::{DateTime, TimeDelta, Utc};

/// Of the drawing's own units; it is stretched to its place.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 120.0;
/// Length of the stroke that a point begins with: one that stands alone has to be seen.
const POINT: f64 = 4.0;

/// What is drawn: its name, its class in the stylesheet, and a value for each stretch of time.
pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) class: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

/// How series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// On top of each other.
    Bars,
    Lines,
}

pub(super) struct Rect {
    pub(super) class: &'static str,
    pub(super) y: String,
    pub(super) height: String,
}

/// A stretch of time: what hovering tells, and its bars.
pub(super) struct Column {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) title: String,
    pub(super) rects: Vec<Rect>,
}

pub(super) struct Path {
    pub(super) class: &'static str,
    pub(super) d: String,
}

/// A line of the table.
pub(super) struct Numbers {
    pub(super) at: String,
    pub(super) values: Vec<String>,
}

/// A drawing with everything that its template says.
pub(super) struct Chart {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What the top of the drawing stands for.
    pub(super) top: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) columns: Vec<Column>,
    pub(super) paths: Vec<Path>,
    /// Names of the series with their classes.
    pub(super) legend: Vec<(&'static str, &'static str)>,
    /// Newest first.
    pub(super) numbers: Vec<Numbers>,
}

/// The stretches of time that a chart shows.
pub(super) struct Times<'a> {
    pub(super) starts: &'a [DateTime<Utc>],
    pub(super) each: TimeDelta,
}

impl Times<'_> {
    fn label(&self, at: DateTime<Utc>) -> String {
        let over_days = self.each * self.starts.len().saturating_as::<i32>() > TimeDelta::days(1);
        at.format(if over_days { "%a %d %b %H:%M" } else { "%H:%M" }).to_string()
    }
}

impl Chart {
    /// Draws `series`, each with a value for each of `times`; `say` turns a value into words.
    pub(super) fn draw(
        (id, title): (&'static str, &'static str),
        shape: Shape,
        times: &Times<'_>,
        series: &[Series],
        say: impl Fn(f64) -> String,
    ) -> Self {
        let value = |one: &Series, at: usize| one.values[at].unwrap_or(0.0);
        let height_at = |at: usize| match shape {
            Shape::Bars => series.iter().map(|one| value(one, at)).sum::<f64>(),
            Shape::Lines => series.iter().map(|one| value(one, at)).fold(0.0, f64::max),
        };
        let top = (0..times.starts.len()).map(height_at).fold(0.0, f64::max);
        let scale = if top > 0.0 { HEIGHT / top } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "at most a few hundred")]
        let width = WIDTH / times.starts.len().max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "at most a few hundred")]
        let left = |at: usize| at as f64 * width;
        let words = |one: &Series, at: usize| one.values[at].map_or_else(|| "–".to_owned(), &say);
        let columns = (0..times.starts.len()).map(|at| {
            let told: Vec<String> =
                series.iter().map(|one| format!("{}: {}", one.name, words(one, at))).collect();
            let mut below = 0.0;
            let rects = series.iter().filter(|_| shape == Shape::Bars).map(|one| {
                let height = value(one, at) * scale;
                below += height;
                Rect { class: one.class, y: number(HEIGHT - below), height: number(height) }
            });
            Column {
                x: number(left(at)),
                width: number(width),
                title: format!("{} UTC\n{}", times.label(times.starts[at]), told.join("\n")),
                rects: rects.collect(),
            }
        });
        let path = |one: &Series| {
            let points = one
                .values
                .iter()
                .enumerate()
                .map(|(at, value)| value.map(|value| (left(at) + width / 2.0, HEIGHT - value * scale)));
            Path { class: one.class, d: line(points) }
        };
        let numbers = (0..times.starts.len()).rev().map(|at| Numbers {
            at: times.label(times.starts[at]),
            values: series.iter().map(|one| words(one, at)).collect(),
        });
        let label = |at: Option<&DateTime<Utc>>| at.map(|at| times.label(*at)).unwrap_or_default();
        Self {
            id,
            title,
            top: say(top),
            from: label(times.starts.first()),
            to: label(times.starts.last()),
            columns: columns.collect(),
            paths: series.iter().filter(|_| shape == Shape::Lines).map(path).collect(),
            legend: series.iter().map(|one| (one.class, one.name)).collect(),
            numbers: numbers.collect(),
        }
    }
}

/// Small bars of one height, for a cell of a table.
pub(super) fn sparkline(values: &[i64]) -> Vec<Column> {
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    let bar = |(at, value): (usize, &i64)| {
        #[expect(clippy::cast_precision_loss, reason = "counts of an hour")]
        let height = *value as f64 / top as f64 * 20.0;
        Column {
            x: (at * 3).to_string(),
            width: "2.5".to_owned(),
            title: String::new(),
            rects: vec![Rect { class: "bad", y: number(20.0 - height), height: number(height) }],
        }
    };
    values.iter().enumerate().map(bar).collect()
}

/// Through all points there are; a gap begins anew, and a point alone is a short stroke.
fn line(points: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut d = String::new();
    let mut draws = false;
    for point in points {
        if let Some((x, y)) = point {
            let (x, y) = (number(x), number(y));
            // A text can always be written to.
            let _ = if draws { write!(d, "L{x} {y}") } else { write!(d, "M{x} {y}h{POINT}") };
        }
        draws = point.is_some();
    }
    d
}

fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(shape: Shape, values: [Vec<Option<f64>>; 2]) -> Chart {
        let starts: Vec<_> = (0..3).map(|minute| DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)).collect();
        let [a, b] = values;
        let series = [
            Series { name: "good", class: "ok", values: a },
            Series { name: "failed", class: "bad", values: b },
        ];
        let times = Times { starts: &starts, each: TimeDelta::minutes(1) };
        Chart::draw(("t", "Title"), shape, &times, &series, |value| value.to_string())
    }

    #[test]
    fn bars_stand_on_each_other_and_reach_the_top() {
        let chart =
            drawn(Shape::Bars, [vec![Some(30.0), None, Some(5.0)], vec![Some(10.0), None, Some(0.0)]]);
        assert_eq!((chart.top.as_str(), chart.from.as_str(), chart.to.as_str()), ("40", "00:00", "00:02"));
        let [good, failed] = chart.columns[0].rects.as_slice() else { panic!("two bars") };
        assert_eq!((good.y.as_str(), good.height.as_str()), ("30", "90"));
        assert_eq!((failed.y.as_str(), failed.height.as_str()), ("0", "30"));
        assert_eq!(chart.columns[1].title, "00:01 UTC\ngood: –\nfailed: –");
        assert_eq!(chart.numbers[0].at, "00:02");
        assert_eq!(chart.numbers[0].values, ["5", "0"]);
    }

    #[test]
    fn lines_leave_gaps() {
        let chart = drawn(Shape::Lines, [vec![Some(10.0), None, Some(5.0)], vec![None, None, None]]);
        assert_eq!(chart.paths[0].d, "M120 0h4M600 60h4");
        assert_eq!(chart.paths[1].d, "");
    }

    #[test]
    fn nothing_draws_nothing() {
        let chart = drawn(Shape::Bars, [vec![None; 3], vec![None; 3]]);
        assert_eq!(chart.top, "0");
        assert_eq!(chart.columns[0].rects[0].height, "0");
    }
}
