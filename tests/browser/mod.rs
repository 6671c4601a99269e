//! The dashboard in a real browser: what people do there, what they are told, and that nothing goes
//! wrong meanwhile.
//!
//! Where there is no browser these tests are skipped, which is said; with
//! `CHROMIUM=/usr/bin/chromium` it must be there.

mod access;
mod actions;
mod chromium;
mod follow;
mod oauth;
mod people;
mod scene;
mod screenshots;
mod sign_in;
mod site;
mod tab;
mod watch;
mod without_script;

use site::{PASSWORD, Site, visit};
use tab::Tab;
