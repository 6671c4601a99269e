//! One fault a file. They run one after the other.

mod clocks;
mod cut;
mod diskfull;
mod freeze;
mod handlers;
mod kill;
mod restart;
mod roll;
