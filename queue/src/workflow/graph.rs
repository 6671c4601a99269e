//! The shape of what is enqueued together: parents before children, and no way back.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::enqueue::new_job::NewJob;
use crate::error::{QueueError, Result};

/// Longest cycle that an error spells out.
const SHOWN: usize = 20;

/// Refuses jobs that would wait on each other for ever.
///
/// Only jobs that are enqueued together can: a stored job's edges never change.
pub(crate) fn check(jobs: &[NewJob]) -> Result<()> {
    order(jobs).map(|_| ())
}

/// The jobs' positions, parents before their children and otherwise as given (Kahn, "Topological sorting of large
/// networks", 1962), in time linear in jobs and edges.
pub(super) fn order(jobs: &[NewJob]) -> Result<Vec<usize>> {
    let at: HashMap<Uuid, usize> = jobs.iter().enumerate().map(|(at, job)| (job.id, at)).collect();
    let mut children = vec![Vec::new(); jobs.len()];
    let mut pending = vec![0_usize; jobs.len()];
    for (child, job) in jobs.iter().enumerate() {
        for parent in job.parents.iter().filter_map(|(id, _)| at.get(id)) {
            children[*parent].push(child);
            pending[child] += 1;
        }
    }
    let mut ready: VecDeque<usize> = (0..jobs.len()).filter(|at| pending[*at] == 0).collect();
    let mut order = Vec::with_capacity(jobs.len());
    while let Some(next) = ready.pop_front() {
        order.push(next);
        for child in &children[next] {
            pending[*child] -= 1;
            if pending[*child] == 0 {
                ready.push_back(*child);
            }
        }
    }
    if order.len() == jobs.len() {
        return Ok(order);
    }
    let path = cycle(jobs, &at, &pending);
    Err(QueueError::Cycle(describe(&path, jobs)))
}

/// One cycle among the jobs that still have pending parents, in the direction of the work, its first job again at the end.
fn cycle(jobs: &[NewJob], at: &HashMap<Uuid, usize>, pending: &[usize]) -> Vec<usize> {
    // Each of them has a parent that is one of them, so that a walk upwards comes back.
    let up = |from: usize| {
        let parents = jobs[from].parents.iter().filter_map(|(id, _)| at.get(id).copied());
        parents.into_iter().find(|parent| pending[*parent] > 0)
    };
    let mut walk = Vec::new();
    let mut met = HashMap::new();
    let mut next = (0..jobs.len()).find(|at| pending[*at] > 0);
    while let Some(job) = next {
        if let Some(start) = met.insert(job, walk.len()) {
            let mut path: Vec<usize> = walk.split_off(start);
            // The earliest in the caller's order comes first.
            path.reverse();
            let first = path.iter().enumerate().min_by_key(|(_, job)| **job).map_or(0, |(at, _)| at);
            path.rotate_left(first);
            path.push(path[0]);
            return path;
        }
        walk.push(job);
        next = up(job);
    }
    walk
}

fn describe(path: &[usize], jobs: &[NewJob]) -> String {
    let mut labels: Vec<String> = path.iter().map(|at| jobs[*at].label()).collect();
    if labels.len() > SHOWN {
        let left_out = labels.len() - SHOWN;
        labels.splice(SHOWN / 2..SHOWN / 2 + left_out, [format!("({left_out} more)")]);
    }
    labels.join(" → ")
}
