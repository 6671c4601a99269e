//! Limits: what one lane, and what all lanes of a queue together, may start and run.

use serde::{Deserialize, Serialize};

use crate::lanes::gcra::Rate;

/// What one lane may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneLimits {
    /// Starts per period.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Jobs that run at once, over all workers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// The lane's share of the starts against other lanes, when there is more work than capacity;
    /// above 0.
    pub weight: f64,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { rate: None, max_running: None, weight: 1.0 }
    }
}

/// What all lanes of a queue together may do. Nothing set means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueueLimits {
    /// Starts per period.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Jobs that run at once, over all workers together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
}
