//! One fault a file. They run one after the other.

mod clocks;
mod cut;
mod freeze;
mod handlers;
mod kill;
mod promote;
mod replicate;
mod restart;
mod restore;
mod roll;
