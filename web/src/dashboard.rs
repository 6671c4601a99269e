//! What every page of the dashboard has, so that a domain's pages look and behave like those of the
//! service: they work without JavaScript, and with it they are live.
//!
//! A page takes a [`session::Session`], does its query, and answers with [`frame::page`], or with a
//! [`refusal::Refusal`] that says why not. Its template extends `base.html`, which lies with the
//! other shared ones in `web/templates`.
//!
//! | module | what it is about |
//! |---|---|
//! | [`state`] | [`state::Dashboard`], which a service's state holds and pages take by `FromRef` |
//! | [`session`], [`person`], [`session_find`] | who is signed in, on the dashboard or at all |
//! | [`sent`], [`form`], [`suggest`] | what browsers send, and the fields that they send it with |
//! | [`frame`], [`navigation`], [`refusal`], [`confirm`] | what stands around a page, and pages that ask or refuse |
//! | [`words`], [`when`], [`notice`], [`plot`], [`columns`] | numbers, times, lists, drawings and tables on pages |
//! | [`views`], [`shared`] | pages that change while they are looked at; parts that many share |
//! | [`additions`] | what a domain adds to pages of the service |
//! | [`assets`] | style and script |

pub mod additions;
pub mod assets;
pub mod columns;
pub mod confirm;
pub mod form;
pub mod frame;
pub mod navigation;
pub mod notice;
pub mod person;
pub mod plot;
pub mod refusal;
pub mod sent;
pub mod session;
pub mod session_find;
pub mod shared;
pub mod state;
pub mod suggest;
pub mod views;
pub mod when;
pub mod words;
