//! The two text formats: `OpenMetrics` for who asks for it, as Prometheus does, and Prometheus' own
//! for everybody else.

use std::fmt::Write;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The one that the caller asks for.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted.any(|value| value.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The answer with metrics that are written as `OpenMetrics`.
pub(crate) fn answer(format: Format, openmetrics: String) -> Response {
    let text = match format {
        Format::OpenMetrics => openmetrics,
        Format::Prometheus => older(&openmetrics),
    };
    ([(CONTENT_TYPE, format.content_type())], text).into_response()
}

/// In the older format a counter's help and type name what is in its lines, `_total` and all, and
/// nothing marks the end.
fn older(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len() + 1024);
    let mut lines = openmetrics.lines().peekable();
    while let Some(line) = lines.next() {
        let (help, next) = (line.strip_prefix("# HELP "), lines.peek());
        let counter = |line: &str| {
            line.strip_prefix("# TYPE ").and_then(|of| of.strip_suffix(" counter")).map(str::to_owned)
        };
        // Writing to a string cannot fail.
        let _ = match (help, counter(line), next.and_then(|next| counter(next))) {
            (None, Some(name), _) => writeln!(text, "# TYPE {name}_total counter"),
            (Some(help), _, Some(name)) if help.starts_with(&format!("{name} ")) => {
                writeln!(text, "# HELP {name}_total{}", &help[name.len()..])
            }
            _ if line == "# EOF" => Ok(()),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_have_the_same_lines() {
        let openmetrics = "# HELP jobs Jobs.\n# TYPE jobs counter\njobs_total{kind=\"a\"} 3\n# HELP depth Jobs that \
                           wait.\n# TYPE depth gauge\ndepth 1.0\n# EOF\n";
        let expected = "# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total{kind=\"a\"} 3\n# HELP depth \
                        Jobs that wait.\n# TYPE depth gauge\ndepth 1.0\n";
        assert_eq!(older(openmetrics), expected);
    }

    #[test]
    fn who_asks_for_openmetrics_gets_it() {
        let wanted = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Format::wanted(&headers)
        };
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(wanted(prometheus), Format::OpenMetrics);
        assert_eq!(wanted("*/*"), Format::Prometheus);
        assert_eq!(Format::wanted(&HeaderMap::new()), Format::Prometheus);
    }
}
