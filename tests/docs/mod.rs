//! The documents, and what is kept for other programs, say what the code does.

mod n8n;

use std::path::Path;

use weirgate_queue::state;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_picture_of_the_states_is_made_from_the_transitions() {
    assert!(read("README.md").contains(&state::mermaid()), "put this into README.md:\n{}", state::mermaid());
}

#[test]
fn every_setting_is_in_the_readme_and_the_example() {
    let (config, readme, example) = (read("src/config.rs"), read("README.md"), read(".env.example"));
    let settings: Vec<&str> = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// `")?.split_once("`:"))
        .map(|(name, _)| name)
        .collect();
    assert!(settings.len() >= 17, "{settings:?}");
    for name in settings {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in README.md");
        assert!(example.contains(&format!("{name}=")), "{name} is not in .env.example");
    }
}

#[test]
fn every_alert_is_explained() {
    let (alerts, operations) = (read("dashboards/prometheus/alerts.yml"), read("docs/operations.md"));
    let tested = read("dashboards/prometheus/alerts.test.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        assert!(operations.contains(&format!("| `{name}` |")), "{name} is not in docs/operations.md");
        assert!(tested.contains(&format!("alertname: {name}")), "{name} has no test");
    }
}

#[test]
fn every_metric_of_a_dashboard_or_an_alert_is_in_the_list() {
    let operations = read("docs/operations.md");
    let places =
        ["grafana/overview.json", "grafana/tenants.json", "grafana/workers.json", "prometheus/alerts.yml"];
    for place in places {
        let text = read(&format!("dashboards/{place}"));
        let names = text.split("weirgate_").skip(1).map(|rest| {
            rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
        });
        for name in names {
            let name = name.strip_suffix("_bucket").or_else(|| name.strip_suffix("_sum")).unwrap_or(name);
            let name = name.strip_suffix("_count").unwrap_or(name);
            assert!(
                operations.contains(&format!("`{name}`")),
                "{name} of {place} is not in docs/operations.md"
            );
        }
    }
}

#[test]
fn every_package_has_a_reason_in_the_readme() {
    let readme = read("README.md");
    let manifest = read("Cargo.toml");
    let packages = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for name in packages.lines().filter_map(|line| line.split_once(".workspace")).map(|(name, _)| name) {
        if !name.starts_with("weirgate") {
            assert!(readme.contains(&format!("`{name}`")), "{name} has no reason in README.md");
        }
    }
}

#[test]
fn no_document_says_a_thing_twice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    for path in
        files.chain([root.join("README.md")]).filter(|path| path.extension().is_some_and(|e| e == "md"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        // What stands between fences is somebody's comment.
        let prose = text.split("\n```").step_by(2);
        let mut headings: Vec<&str> =
            prose.flat_map(str::lines).filter(|line| line.starts_with('#')).collect();
        headings.sort_unstable();
        let repeated = headings.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(repeated, None, "in {}", path.display());
    }
}
