//! Writes metrics whose values are somewhere already: a name, a help text, and rows of labels and
//! values.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use weirgate_queue::telemetry::histogram::{BOUNDS, Reading};
use weirgate_web::domain::Labels;

/// Labels of one row.
pub(crate) type Row<'a, const N: usize> = [(&'static str, &'a str); N];

/// What a collector writes with.
pub(crate) struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(crate) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A value that goes up and down, without labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, &format!("{help}."), None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// Values that go up and down. A family without rows is left out.
    pub(crate) fn gauges<'r, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Row<'r, N>, f64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, rows, |mut encoder, value| encoder.encode_gauge(&value))
    }

    /// Values that only grow; `_total` is added to the name.
    pub(crate) fn counters<'r, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Row<'r, N>, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, rows, |mut encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// The same of a domain, whose labels are its own.
    pub(crate) fn counters_of_domain(
        &mut self,
        name: &str,
        help: &str,
        rows: Vec<(Labels, u64)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Counter, rows, |mut encoder, value| {
            encoder.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    /// A value that only grows, without labels; `_total` is added to the name.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: &impl EncodeCounterValue) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, &format!("{help}."), None, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, f64>(value, None)
    }

    /// Durations by size, in seconds.
    pub(crate) fn histograms<'r, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Row<'r, N>, Reading)>,
    ) -> fmt::Result {
        self.family(name, help, MetricType::Histogram, rows, |mut encoder, reading| {
            let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(reading.buckets).collect();
            encoder.encode_histogram::<NoLabelSet>(reading.sum, reading.count, &buckets, None)
        })
    }

    fn family<L: EncodeLabelSet, V>(
        &mut self,
        name: &str,
        help: &str,
        metric_type: MetricType,
        rows: impl IntoIterator<Item = (L, V)>,
        encode: impl Fn(MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let help = format!("{help}.");
        let mut family = self.0.encode_descriptor(name, &help, None, metric_type)?;
        for (labels, value) in rows {
            encode(family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}
