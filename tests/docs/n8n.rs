//! The workflows for n8n call what there is.

use serde_json::Value;
use weirgate::http::openapi;

use super::read;
use crate::support::all_domains;

fn workflows() -> Vec<(String, Value)> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/n8n")).unwrap();
    let files = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
    files.map(|name| (name.clone(), serde_json::from_str(&read(&format!("n8n/{name}"))).unwrap())).collect()
}

/// `={{ $json.api }}/internal/jobs/{{ $json.id }}` as the document has it: `/internal/jobs/{id}`.
fn path(url: &str) -> String {
    let (_, path) =
        url.split_once("}}").unwrap_or_else(|| panic!("{url} does not begin with the API's address"));
    let mut parts = path.split("{{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| path + "{id}" + part.split_once("}}").unwrap().1)
}

#[test]
fn every_call_is_an_operation_with_those_parameters() {
    let document = serde_json::to_value(openapi(all_domains().list())).unwrap();
    let mut calls = 0;
    for (file, workflow) in workflows() {
        let nodes = workflow["nodes"].as_array().unwrap();
        for node in nodes.iter().filter(|node| node["type"] == "n8n-nodes-base.httpRequest") {
            calls += 1;
            let parameters = &node["parameters"];
            let method = parameters["method"].as_str().unwrap_or("GET").to_lowercase();
            let path = path(parameters["url"].as_str().unwrap());
            let operation = &document["paths"][&path][&method];
            assert!(operation.is_object(), "{file}, {}: there is no {method} {path}", node["name"]);
            let known = operation["parameters"].as_array().unwrap();
            for place in ["queryParameters", "headerParameters"] {
                for parameter in parameters[place]["parameters"].as_array().into_iter().flatten() {
                    let name = &parameter["name"];
                    assert!(known.iter().any(|it| it["name"] == *name), "{file}: {path} knows no {name}");
                }
            }
        }
    }
    assert!(calls >= 3, "{calls}");
}

#[test]
fn every_workflow_hangs_together_and_uses_the_credential_that_compose_imports() {
    let compose = read("docker-compose.yml");
    for (file, workflow) in workflows() {
        let nodes = workflow["nodes"].as_array().unwrap();
        let is_node = |name: &Value| nodes.iter().any(|node| node["name"] == *name);
        for (from, outputs) in workflow["connections"].as_object().unwrap() {
            assert!(is_node(&Value::from(from.as_str())), "{file}: {from} is no node");
            for target in outputs["main"].as_array().unwrap().iter().flat_map(|it| it.as_array().unwrap()) {
                assert!(is_node(&target["node"]), "{file}: {from} leads to {}", target["node"]);
            }
        }
        for credential in nodes.iter().flat_map(|node| node["credentials"].as_object().into_iter().flatten())
        {
            let (kind, id) = (credential.0, credential.1["id"].as_str().unwrap());
            assert!(
                compose.contains(&format!(r#""id":"{id}""#))
                    && compose.contains(&format!(r#""type":"{kind}""#))
            );
        }
        assert_eq!(workflow["active"], false, "{file}: somebody has to look at its settings first");
    }
}
