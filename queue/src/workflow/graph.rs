//! The graph of jobs that are enqueued together: sorted so that parents come first, and without a
//! cycle.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::enqueue::new_job::NewJob;
use crate::error::{QueueError, Result};

/// Most jobs of a cycle that an error names.
const MAX_NAMED_JOBS: usize = 20;

/// Refuses jobs that would wait on each other for ever.
///
/// Only jobs that are enqueued together can: a stored job's edges never change.
pub(crate) fn check_acyclic(jobs: &[NewJob]) -> Result<()> {
    parents_first(jobs).map(|_| ())
}

/// The jobs' positions in `jobs`, parents before their children and otherwise in the given order
/// (Kahn, "Topological sorting of large networks", 1962), in time linear in jobs and edges.
pub(super) fn parents_first(jobs: &[NewJob]) -> Result<Vec<usize>> {
    let positions: HashMap<Uuid, usize> =
        jobs.iter().enumerate().map(|(position, job)| (job.id, position)).collect();
    let mut children = vec![Vec::new(); jobs.len()];
    let mut pending = vec![0_usize; jobs.len()];
    for (child, job) in jobs.iter().enumerate() {
        for parent in job.parents.iter().filter_map(|(id, _)| positions.get(id)) {
            children[*parent].push(child);
            pending[child] += 1;
        }
    }
    let mut ready: VecDeque<usize> = (0..jobs.len()).filter(|job| pending[*job] == 0).collect();
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
    let path = find_cycle(jobs, &positions, &pending);
    Err(QueueError::Cycle(describe(&path, jobs)))
}

/// One cycle among the jobs that still have pending parents, from parents to children; its first
/// job is repeated at the end.
fn find_cycle(jobs: &[NewJob], positions: &HashMap<Uuid, usize>, pending: &[usize]) -> Vec<usize> {
    // Each of them has a parent that is one of them, so that a walk from child to parent returns to
    // a job it visited.
    let pending_parent = |from: usize| {
        let parents = jobs[from].parents.iter().filter_map(|(id, _)| positions.get(id).copied());
        parents.into_iter().find(|parent| pending[*parent] > 0)
    };
    let mut walk = Vec::new();
    let mut visited = HashMap::new();
    let mut next = (0..jobs.len()).find(|job| pending[*job] > 0);
    while let Some(job) = next {
        if let Some(start) = visited.insert(job, walk.len()) {
            let mut path: Vec<usize> = walk.split_off(start);
            // The error begins with the job that is first in the caller's order.
            path.reverse();
            let first = path.iter().enumerate().min_by_key(|(_, job)| **job).map_or(0, |(index, _)| index);
            path.rotate_left(first);
            path.push(path[0]);
            return path;
        }
        walk.push(job);
        next = pending_parent(job);
    }
    walk
}

fn describe(path: &[usize], jobs: &[NewJob]) -> String {
    let mut labels: Vec<String> = path.iter().map(|job| jobs[*job].label()).collect();
    if labels.len() > MAX_NAMED_JOBS {
        let left_out = labels.len() - MAX_NAMED_JOBS;
        labels.splice(MAX_NAMED_JOBS / 2..MAX_NAMED_JOBS / 2 + left_out, [format!("({left_out} more)")]);
    }
    labels.join(" → ")
}
