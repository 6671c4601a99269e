//! Where spans are sent: the standard's variables.

use url::Url;

use super::reader::Reader;

/// <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>
pub(super) fn endpoint(r: &mut Reader<'_>) -> Option<String> {
    let expected = "an http:// or https:// URL, such as http://127.0.0.1:4318";
    let url = |text: &str| {
        let url = Url::parse(text).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| text.to_owned())
    };
    let whole = r.value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", expected, url);
    let base = r.value("OTEL_EXPORTER_OTLP_ENDPOINT", expected, url);
    for name in ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] {
        r.value(name, "http/protobuf, the one protocol there is", |text| {
            (text == "http/protobuf").then_some(())
        });
    }
    let disabled =
        r.value("OTEL_SDK_DISABLED", "true or false", |text| text.to_ascii_lowercase().parse().ok());
    let endpoint = whole.or_else(|| Some(format!("{}/v1/traces", base?.trim_end_matches('/'))));
    endpoint.filter(|_| disabled != Some(true))
}
