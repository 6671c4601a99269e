//! The documents, and what is kept for other programs, say what the code does.

mod n8n;
mod sql;

use std::path::Path;

use weirgate_queue::job;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_picture_of_the_states_is_made_from_the_transitions() {
    assert!(read("README.md").contains(&job::mermaid()), "put this into README.md:\n{}", job::mermaid());
}

#[test]
fn every_setting_is_in_its_document_and_the_example() {
    let (config, document, example) = (read("src/config.rs"), read("docs/settings.md"), read(".env.example"));
    let settings: Vec<&str> = config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("/// `")?.split_once("`:"))
        .map(|(name, _)| name)
        .collect();
    assert!(settings.len() >= 17, "{settings:?}");
    for name in settings {
        assert!(document.contains(&format!("`{name}`")), "{name} is not in docs/settings.md");
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

/// The folders of the workspace's crates beside the service's own.
fn crates() -> Vec<String> {
    let manifest = read("Cargo.toml");
    let list = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_package_has_a_reason() {
    let document = read("docs/dependencies.md");
    for folder in crates().into_iter().chain([".".to_owned()]) {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let packages = manifest.split("\n[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
        for (name, _) in packages.lines().filter_map(|line| line.split_once([' ', '.'])) {
            if !name.starts_with("weirgate") {
                let is_explained = document.contains(&format!("`{name}`"));
                assert!(is_explained, "{name} of {folder} has no reason in docs/dependencies.md");
            }
        }
    }
}

#[test]
fn image_is_built_from_every_crate() {
    let read_by_docker = read(".dockerignore");
    for folder in crates() {
        let top = folder.split('/').next().unwrap();
        let is_read = read_by_docker.lines().any(|line| line == format!("!{top}"));
        assert!(is_read, "{top} is missing in .dockerignore, so the image cannot be built");
    }
}

#[test]
fn the_readme_can_be_read_in_one_go() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 1250, "README.md has {words} words; docs/ has room for more");
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = read("README.md");
    let paths = readme.split('`').skip(1).step_by(2).filter(|name| {
        name.contains('/')
            && !name.starts_with('/')
            && !name.contains([' ', '<', ':'])
            && !name.starts_with("target/")
            && !name.starts_with("application/")
    });
    let mut named = 0;
    for path in paths {
        named += 1;
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} is not there");
    }
    assert!(named > 15, "{named}");
}

/// What stands between backticks in README, CONTRIBUTING and `docs/`, with its document.
fn quoted() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [root.to_owned(), root.join("docs"), root.join("docs/decisions")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let mut quoted = Vec::new();
    for path in files.filter(|path| path.extension().is_some_and(|it| it == "md")) {
        let text = std::fs::read_to_string(&path).unwrap();
        // Commands stand between fences.
        let prose: String = text.split("\n```").step_by(2).collect();
        let words = prose.split('`').skip(1).step_by(2);
        quoted.extend(words.map(|word| (path.display().to_string(), word.to_owned())));
    }
    quoted
}

#[test]
fn every_test_that_documents_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for (document, word) in quoted() {
        if word.starts_with("tests/") || word.contains("/tests/") {
            let is_there = root.join(&word).exists();
            assert!(is_there, "{document}: {word} is not there");
            named += 1;
        }
        // Unit tests stand beside what they test.
        if word.ends_with("::tests") || word.contains("::tests::") {
            continue;
        }
        // A module of this binary, and a test in it: `http::auth`, `http::auth::a_key_is_needed`.
        let mut parts = word.split("::");
        let folder = root.join("tests").join(parts.next().unwrap());
        let (Some(file), test) = (parts.next(), parts.next()) else { continue };
        let is_name = |text: &str| text.chars().all(|it| it == '_' || it.is_ascii_alphanumeric());
        if !folder.is_dir() || !is_name(file) || !test.is_none_or(is_name) {
            continue;
        }
        let module = std::fs::read_to_string(folder.join(file).with_extension("rs"));
        let module = module.unwrap_or_else(|error| panic!("{document}: {word}: {error}"));
        let is_there = test.is_none_or(|test| module.contains(&format!("fn {test}(")));
        assert!(is_there, "{document}: {word} is not there");
        named += 1;
    }
    assert!(named > 80, "{named}");
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
