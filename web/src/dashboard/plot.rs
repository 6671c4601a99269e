//! Numbers by day as lines, in SVG: values on hover, a link for each day, gaps where there is no
//! value.

use std::fmt::Write;

use askama::Template;
use chrono::NaiveDate;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 24.0;

/// What numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Tickets,
    Hours,
    Percent,
    Score,
}

impl Unit {
    /// For a heading.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tickets => "tickets",
            Self::Hours => "hours",
            Self::Percent => "%",
            Self::Score => "score",
        }
    }

    /// A number of it.
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Tickets => format!("{value:.0}"),
            Self::Hours => format!("{value:.1} h"),
            Self::Percent => format!("{value:.0} %"),
            Self::Score => format!("{value:.2}"),
        }
    }
}

/// A line: its name, and the value of each day; none where there is none.
pub struct Line {
    pub name: &'static str,
    pub values: Vec<Option<f64>>,
}

/// A day that is marked, and why.
pub struct Marked {
    pub day: usize,
    pub why: String,
}

struct Drawn {
    name: &'static str,
    /// Its number, for the stylesheet.
    number: usize,
    path: String,
    points: Vec<Point>,
}

struct Point {
    x: String,
    y: String,
    link: String,
    title: String,
    /// A triangle above it, where it is marked.
    mark: Option<String>,
}

struct Tick {
    y: String,
    label: String,
}

/// A drawing of some lines.
#[derive(Template)]
#[template(path = "plot.html")]
pub struct Plot {
    title: &'static str,
    unit: Unit,
    lines: Vec<Drawn>,
    ticks: Vec<Tick>,
    first: String,
    last: String,
}

/// Where a page has the plot of that title.
pub fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

impl Plot {
    fn anchor(&self) -> String {
        anchor(self.title)
    }

    /// Of lines over `days`; `link` leads to a day, and the marks are those of the first line.
    pub fn new(
        title: &'static str,
        unit: Unit,
        days: &[NaiveDate],
        lines: &[Line],
        marked: &[Marked],
        link: impl Fn(NaiveDate) -> String,
    ) -> Self {
        let values = lines.iter().flat_map(|line| &line.values).flatten();
        let top = unit.top(values.fold(0.0, |most: f64, value| most.max(*value)));
        let scale = Scale { days: days.len(), top };
        let drawn = lines.iter().enumerate().map(|(number, line)| {
            let point = |(at, value): (usize, f64)| {
                let (x, y) = scale.of(at, value);
                let mark = marked.iter().find(|mark| number == 0 && mark.day == at);
                let mut title = format!("{}: {} {}", days[at], line.name, unit.say(value));
                if let Some(mark) = mark {
                    let _ = write!(title, " ({})", mark.why);
                }
                let triangle = format!("M{:.1} {:.1}h12L{x:.1} {:.1}Z", x - 6.0, y - 14.0, y - 5.0);
                let mark = mark.map(|_| triangle);
                Point { x: format!("{x:.1}"), y: format!("{y:.1}"), link: link(days[at]), title, mark }
            };
            let there = line.values.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?)));
            Drawn {
                name: line.name,
                number,
                path: scale.path(&line.values),
                points: there.map(point).collect(),
            }
        });
        let ticks = [0.0, top / 2.0, top]
            .map(|value| Tick { y: format!("{:.1}", scale.of(0, value).1), label: unit.say(value) });
        Self {
            title,
            unit,
            lines: drawn.collect(),
            ticks: ticks.into(),
            first: days.first().map(ToString::to_string).unwrap_or_default(),
            last: days.last().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn has_values(&self) -> bool {
        self.lines.iter().any(|line| !line.points.is_empty())
    }
}

/// Where numbers lie in the drawing.
struct Scale {
    days: usize,
    top: f64,
}

impl Scale {
    fn of(&self, day: usize, value: f64) -> (f64, f64) {
        #[expect(clippy::cast_precision_loss, reason = "days are few")]
        let part = if self.days > 1 { day as f64 / (self.days - 1) as f64 } else { 0.5 };
        let x = LEFT + part * (WIDTH - LEFT - RIGHT);
        (x, HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM))
    }

    /// A line through the values, broken where there is none.
    fn path(&self, values: &[Option<f64>]) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (day, value) in values.iter().enumerate() {
            if let Some(value) = value {
                let (x, y) = self.of(day, *value);
                let _ = write!(path, "{pen}{x:.1} {y:.1}");
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        path
    }
}

impl Unit {
    /// The end of the scale above `value`: round, and so is half of it, which a tick stands at.
    fn top(self, value: f64) -> f64 {
        if self == Self::Score && value <= 5.0 {
            return 5.0;
        }
        if value <= 2.0 {
            return 2.0;
        }
        let power = 10_f64.powf(value.log10().floor());
        // Half of an odd one is no number of tickets.
        let odd: &[f64] = if power < 10.0 { &[] } else { &[3.0, 5.0] };
        let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].iter().chain(odd).map(|step| step * power);
        steps.filter(|step| *step >= value).fold(10.0 * power, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    fn plot(values: Vec<Option<f64>>, marked: &[Marked]) -> Plot {
        let days: Vec<NaiveDate> = (1..).take(values.len()).map(day).collect();
        let line = Line { name: "created", values };
        Plot::new("Tickets", Unit::Tickets, &days, &[line], marked, |day| format!("/{day}"))
    }

    #[test]
    fn a_day_without_a_value_is_a_gap() {
        let plot = plot(vec![Some(0.0), Some(10.0), None, Some(5.0)], &[]);
        assert_eq!(plot.lines[0].path, "M48.0 146.0L242.0 12.0M630.0 79.0");
        assert_eq!(plot.lines[0].points.len(), 3);
        assert_eq!(plot.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(), ["0", "5", "10"]);
    }

    #[test]
    fn marked_days_say_why() {
        let marked = [Marked { day: 1, why: "unusual".to_owned() }];
        let plot = plot(vec![Some(1.0), Some(9.0)], &marked);
        let points = &plot.lines[0].points;
        assert_eq!(points[1].title, "2026-01-02: created 9 (unusual)");
        assert!(points[0].mark.is_none() && points[1].mark.is_some());
        assert_eq!(points[1].link, "/2026-01-02");
    }

    #[test]
    fn the_top_is_a_round_number_above_all() {
        for (value, top) in [
            (0.0, 2.0),
            (2.0, 2.0),
            (3.0, 4.0),
            (5.0, 6.0),
            (10.0, 10.0),
            (11.0, 20.0),
            (21.0, 30.0),
            (47.0, 50.0),
            (81.0, 100.0),
            (100.0, 100.0),
            (101.0, 200.0),
        ] {
            assert!((Unit::Tickets.top(value) - top).abs() < 1e-9, "{value}: {}", Unit::Tickets.top(value));
        }
        assert!((Unit::Score.top(4.5) - 5.0).abs() < 1e-9);
        assert!(!plot(vec![None, None], &[]).has_values());
    }
}
