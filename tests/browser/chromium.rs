//! One headless Chromium for the whole run, gone when the process is, however it ends.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use chromiumoxide::Browser;
use futures_util::StreamExt;

/// Says which program it is. A browser that is named must be there; else one is looked for.
const NAMED: &str = "CHROMIUM";

const USUAL_NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// Nothing but what is tested: no first steps, no updates, no other host.
const OPTIONS: [&str; 19] = [
    "--headless=new",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-proxy-server",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--lang=en-US",
    "--password-store=basic",
];

/// The browser of the run; `None` where the machine has none, which is said on standard error.
pub(super) fn browser() -> Option<&'static Browser> {
    static BROWSER: OnceLock<Option<Browser>> = OnceLock::new();
    BROWSER
        .get_or_init(|| {
            let program = program();
            if program.is_none() {
                say(&format!(
                    "no browser found, so its tests are skipped; {NAMED}=/path/to/chromium names one"
                ));
            }
            program.map(|program| connect(start(&program)))
        })
        .as_ref()
}

/// Past the test harness, which keeps what tests print.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a browser and what its tests need may be missing.
pub(super) fn is_required() -> bool {
    env::var_os(NAMED).is_some()
}

fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os(NAMED) {
        assert!(Path::new(&named).is_file(), "{NAMED} names {}, which is not there", named.display());
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let found = USUAL_NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file())
}

/// Starts it; answers where it listens.
fn start(program: &Path) -> String {
    let folder = tempfile::Builder::new().prefix("weirgate-browser-").tempdir().unwrap().keep();
    let mut command = Command::new(program);
    command.args(OPTIONS).arg(format!("--user-data-dir={}", folder.display())).arg("about:blank");
    // It may ask for the time zone and for what was used before; both are the same for everybody.
    command.env("TZ", "UTC").env("HOME", &folder).env_remove("DISPLAY");
    if rustix::process::getuid().is_root() {
        command.arg("--no-sandbox");
    }
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    guard(&child, &folder);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut said = String::new();
    let address = loop {
        let line = lines.next().unwrap_or_else(|| panic!("{} ended: {said}", program.display())).unwrap();
        if let Some(address) = line.strip_prefix("DevTools listening on ") {
            break address.to_owned();
        }
        said += &(line + "\n");
    };
    // What it says further must not fill the pipe.
    std::thread::spawn(move || {
        lines.for_each(drop);
        child.wait()
    });
    address
}

/// Ends the browser and removes its files when this process is gone (SIGKILL included).
fn guard(child: &Child, folder: &Path) {
    let script = format!(
        "cat >/dev/null; kill -s KILL -- -{pid}; while kill -s 0 -- -{pid} 2>/dev/null; do sleep 0.1; done; rm -rf '{folder}'",
        pid = child.id(),
        folder = folder.display()
    );
    let guard = Command::new("sh")
        .args(["-c", &script])
        // A signal to the tests' own group, such as Ctrl-C, must leave it to its work.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its end of the pipe closes with this process, not before.
    std::mem::forget(guard);
}

/// Tests come and go with runtimes of their own; this one, which reads what the browser sends,
/// stays.
fn connect(address: String) -> Browser {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (browser, mut messages) = Browser::connect(address).await.unwrap();
            send.send(browser).unwrap();
            while messages.next().await.is_some() {}
        });
    });
    receive.recv().expect("the browser answers")
}
