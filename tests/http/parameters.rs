//! The document names each parameter that is taken, and no other.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weirgate_test_support::{Answer, Call};

use crate::support::{TestApi, all_domains};

/// An operation of the document.
struct Operation {
    method: String,
    path: String,
    /// Of its query.
    parameters: Vec<Value>,
    /// Members of its body, if it has one.
    body: Option<BTreeSet<String>>,
}

/// All that need a credential.
fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let all = operation["parameters"].as_array().cloned().unwrap_or_default();
            let parameters = all.into_iter().filter(|it| it["in"] == "query").collect();
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let members =
                || resolved(schema, document)["properties"].as_object().unwrap().keys().cloned().collect();
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                parameters,
                body: (!schema.is_null()).then(members),
            });
        }
    }
    operations.retain(|it| it.path.starts_with("/internal/") || it.path.starts_with("/v1/"));
    assert!(operations.len() > 50);
    operations
}

/// The schema, or the one that it names.
fn resolved(schema: &Value, document: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(name) => document["components"]["schemas"][name.rsplit('/').next().unwrap()].clone(),
        None => schema.clone(),
    }
}

impl Operation {
    async fn call(&self, api: &TestApi, query: &str) -> Answer {
        self.start(api, query).send().await
    }

    fn start(&self, api: &TestApi, query: &str) -> Call {
        let path = self
            .path
            .replace("{dataset}", "tickets")
            .replace("schedules/{name}", "schedules/daily_pipeline")
            .replace("{name}", "ingest")
            .replace("{cw_ticket_id}", "TKT-001")
            .replace("tenants/{id}", "tenants/tenant_demo_cca")
            .replace("{prefix}", "wg_00000000")
            .replace("{id}", "0198c0de-0000-7000-8000-000000000000");
        let target = format!("{path}?{query}");
        if self.path.starts_with("/v1/") {
            api.tenant(&api.cca, &self.method, &target)
        } else {
            api.service(&self.method, &target)
        }
    }

    fn names(&self) -> BTreeSet<String> {
        self.parameters.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
    }

    fn required(&self) -> Vec<&Value> {
        self.parameters.iter().filter(|it| it["required"] == json!(true)).collect()
    }
}

/// What a parameter may be, by its schema.
fn example(parameter: &Value, document: &Value) -> String {
    let mut schema = resolved(&parameter["schema"], document);
    if schema["type"] == "array" {
        schema = resolved(&schema["items"], document);
    }
    if let Some(first) = schema["oneOf"].get(0) {
        schema = first.clone();
    }
    let known = [&parameter["example"], &schema["example"], &schema["enum"][0], &schema["default"]];
    if let Some(value) = known.into_iter().find(|value| !value.is_null()) {
        return value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("uuid")) => "0198c0de-0000-7000-8000-000000000000".to_owned(),
        (_, Some("date")) => "2026-01-20".to_owned(),
        (_, Some("date-time")) => "2026-01-20T08:00:00Z".to_owned(),
        (_, Some("uri")) => "https://n8n.example/webhook".to_owned(),
        (Some("integer" | "number"), _) => schema["minimum"].as_i64().unwrap_or(1).to_string(),
        (Some("boolean"), _) => "true".to_owned(),
        (Some("string"), _) => "a".to_owned(),
        _ => panic!("no example of {parameter}"),
    }
}

fn pair(parameter: &Value, document: &Value) -> String {
    let value = example(parameter, document);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(parameter["name"].as_str().unwrap(), &value).finish()
}

/// What the answer to a parameter, or a member of a body, that there is not says that there is.
fn expected(answer: &Answer, call: &str) -> BTreeSet<String> {
    let problem = answer.problem(422, "validation_failed");
    let errors = problem["errors"].as_array().unwrap();
    let error = errors.iter().find(|error| error["field"] == "surprise");
    let message = error.unwrap_or_else(|| panic!("{call}: {problem}"))["message"].as_str().unwrap();
    let (_, said) = message.split_once("; ").unwrap_or_else(|| panic!("{call}: {message}"));
    if let Some(names) = said.strip_prefix("expected ") {
        return names.split(", ").map(str::to_owned).collect();
    }
    assert_eq!(said, "nothing is expected here", "{call}");
    BTreeSet::new()
}

#[tokio::test]
async fn every_parameter_that_is_taken_is_in_the_document_and_the_other_way_round() {
    let api = TestApi::new().await;
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    let mut any = 0;
    for operation in operations(&document) {
        let call = format!("{} {}", operation.method, operation.path);
        let taken = expected(&operation.call(&api, "surprise=1").await, &call);
        // A name of any argument is documented by the day's.
        let taken: BTreeSet<String> = taken.iter().map(|name| name.replace("args.…", "args.date")).collect();
        assert_eq!(taken, operation.names(), "{call}: what is taken, and what the document has");
        any += taken.len();
    }
    assert!(any > 60, "{any}");
}

#[tokio::test]
async fn every_parameter_of_the_document_can_be_sent() {
    let api = TestApi::new().await;
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    for operation in operations(&document) {
        let needed = operation.required().into_iter().map(|it| pair(it, &document));
        let needed: Vec<String> = needed.collect();
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap();
            let mut query = needed.clone();
            if parameter["required"] != json!(true) {
                query.push(pair(parameter, &document));
            }
            let call = format!("{} {}?{}", operation.method, operation.path, query.join("&"));
            let answer = operation.call(&api, &query.join("&")).await;
            assert!(answer.status.as_u16() < 500, "{call}: {}", answer.text());
            if answer.status != 422 {
                continue;
            }
            let problem = answer.problem(422, "validation_failed");
            let errors = problem["errors"].as_array().unwrap();
            let error = errors.iter().find(|error| error["field"] == name);
            let message = error.map_or("", |error| error["message"].as_str().unwrap());
            // A cursor comes from a page, and a callback goes to hosts that are allowed.
            let is_known = message.is_empty() || ["cursor", "callback_url"].contains(&name);
            assert!(is_known && !message.contains("unknown parameter"), "{call}: {message}");
        }
    }
}

#[tokio::test]
async fn every_member_of_a_body_is_in_the_document_and_the_other_way_round() {
    let api = TestApi::new().await;
    let document = serde_json::to_value(weirgate::http::openapi(all_domains().list())).unwrap();
    let mut bodies = 0;
    for operation in operations(&document) {
        let Some(members) = &operation.body else { continue };
        let call = format!("{} {}", operation.method, operation.path);
        let needed: Vec<String> = operation.required().into_iter().map(|it| pair(it, &document)).collect();
        let answer = operation.start(&api, &needed.join("&")).json(r#"{"surprise": 1}"#).send().await;
        assert_eq!(expected(&answer, &call), *members, "{call}: what is taken, and what the document has");
        bodies += 1;
    }
    assert!(bodies > 10, "{bodies}");
}

#[tokio::test]
async fn an_argument_of_any_name_is_a_filter_of_jobs() {
    let api = TestApi::new().await;
    api.enqueue("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-20").await;
    api.enqueue("/internal/kpi/compute-daily?tenant_id=tenant_demo_cca&date=2026-01-21").await;
    api.enqueue("/internal/exports/generate?tenant_id=tenant_demo_cca&date=2026-01-21&format=csv").await;
    for (query, count) in [
        ("args.date=2026-01-20", 1),
        ("args.date=2026-01-21", 2),
        ("args.date=2026-01-21&args.format=csv", 1),
        ("args.format=json", 0),
        ("args.date=", 3),
    ] {
        assert_eq!(api.get(&format!("/internal/jobs?{query}")).await.items().len(), count, "{query}");
        assert_eq!(api.v1(&format!("/v1/jobs?{query}")).await.items().len(), count, "{query}");
    }
    assert_eq!(api.get("/internal/jobs?args.=x").await.wrong_fields(), ["args."]);
}
