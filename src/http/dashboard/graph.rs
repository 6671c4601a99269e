//! Jobs and what they wait on, as a drawing: layers from left to right, each job right of all that
//! it waits on.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;
use weirgate_queue::JobState;
use weirgate_queue::read::JobRow;
use weirgate_web::dashboard::when::span;

const WIDTH: usize = 190;
const HEIGHT: usize = 46;
const BETWEEN_LAYERS: usize = 60;
const BETWEEN_JOBS: usize = 14;
const MARGIN: usize = 6;

/// Letters of a job's name that fit into its box.
const LETTERS: usize = 22;

/// A job in the drawing.
pub(super) struct Node {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: JobState,
    /// How long it ran, or has run so far.
    pub(super) time: String,
    /// What it waits on, of what is drawn.
    pub(super) parents: Vec<usize>,
    /// Whether it waits on others besides.
    pub(super) more_parents: usize,
    pub(super) is_critical: bool,
    /// Whether it is the job of the page.
    pub(super) is_here: bool,
    milliseconds: i64,
    x: usize,
    y: usize,
}

/// A line from a job to one that waits on it.
pub(super) struct Edge {
    pub(super) path: String,
    pub(super) is_critical: bool,
}

#[derive(Template)]
#[template(path = "graph.html")]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Whether the list of the jobs is behind a click.
    pub(super) folded: bool,
}

impl Node {
    fn new(row: JobRow, here: Option<Uuid>) -> (Self, Vec<Uuid>) {
        let state = row.state();
        let runs = row.attempted_at.map(|from| until(&row, state) - from);
        let node = Self {
            id: row.id,
            name: row.name.unwrap_or_else(|| row.kind.clone()),
            kind: row.kind,
            state,
            time: match (state, runs) {
                (JobState::Running, Some(time)) => format!("for {}", span(time)),
                (JobState::Completed | JobState::Discarded, Some(time)) => span(time),
                _ => String::new(),
            },
            parents: Vec::new(),
            more_parents: 0,
            is_critical: false,
            is_here: here == Some(row.id),
            milliseconds: runs.map_or(0, |time| time.num_milliseconds().max(0)),
            x: 0,
            y: 0,
        };
        (node, row.depends_on)
    }

    pub(super) fn is_state(&self) -> &'static str {
        self.state.as_str()
    }

    /// As much of its name as fits.
    pub(super) fn label(&self) -> String {
        if self.name.chars().count() <= LETTERS {
            return self.name.clone();
        }
        self.name.chars().take(LETTERS - 1).chain(['…']).collect()
    }

    pub(super) fn left(&self) -> usize {
        self.x
    }

    pub(super) fn top(&self) -> usize {
        self.y
    }

    fn says(&self) -> String {
        let mut text = self.state.to_string();
        if !self.time.is_empty() {
            let _ = write!(text, " · {}", self.time);
        }
        text
    }
}

fn until(row: &JobRow, state: JobState) -> DateTime<Utc> {
    let running = state == JobState::Running;
    if running { row.observed_at } else { row.finalized_at.or(row.attempted_at).unwrap_or(row.observed_at) }
}

impl Graph {
    /// Of these jobs, with the one of the page marked.
    pub(super) fn new(rows: Vec<JobRow>, here: Option<Uuid>) -> Self {
        let at: HashMap<Uuid, usize> = rows.iter().enumerate().map(|(at, row)| (row.id, at)).collect();
        let nodes = rows.into_iter().map(|row| {
            let (mut node, parents) = Node::new(row, here);
            node.parents = parents.iter().filter_map(|id| at.get(id).copied()).collect();
            node.more_parents = parents.len() - node.parents.len();
            node
        });
        let mut graph =
            Self { nodes: nodes.collect(), edges: Vec::new(), width: 0, height: 0, folded: here.is_some() };
        let order = graph.order();
        graph.mark_critical(&order);
        graph.place(&order);
        graph.connect();
        graph
    }

    /// Parents before children (Kahn 1962).
    fn order(&self) -> Vec<usize> {
        let mut children = vec![Vec::new(); self.nodes.len()];
        let mut pending: Vec<usize> = self.nodes.iter().map(|node| node.parents.len()).collect();
        for (child, node) in self.nodes.iter().enumerate() {
            for parent in &node.parents {
                children[*parent].push(child);
            }
        }
        let mut ready: VecDeque<usize> = (0..pending.len()).filter(|at| pending[*at] == 0).collect();
        let mut order = Vec::with_capacity(pending.len());
        while let Some(next) = ready.pop_front() {
            order.push(next);
            for child in &children[next] {
                pending[*child] -= 1;
                if pending[*child] == 0 {
                    ready.push_back(*child);
                }
            }
        }
        order
    }

    /// The chain of jobs that took longest: its length is the least time the whole takes (the
    /// critical path method, Kelley and Walker 1959). What has not started counts as a moment.
    fn mark_critical(&mut self, order: &[usize]) {
        let mut longest: Vec<(i64, Option<usize>)> = vec![(0, None); self.nodes.len()];
        for at in order {
            let before = self.nodes[*at].parents.iter().copied().max_by_key(|parent| longest[*parent].0);
            let so_far = before.map_or(0, |parent| longest[parent].0);
            longest[*at] = (so_far + self.nodes[*at].milliseconds + 1, before);
        }
        let mut next = order.iter().copied().max_by_key(|at| longest[*at].0);
        if next.is_some_and(|at| longest[at].1.is_none()) {
            // A path of one job tells nothing.
            return;
        }
        while let Some(at) = next {
            self.nodes[at].is_critical = true;
            next = longest[at].1;
        }
    }

    /// Layers by the longest way from a start; within one, near those that a job waits on.
    fn place(&mut self, order: &[usize]) {
        let mut layer = vec![0; self.nodes.len()];
        let mut layers: Vec<Vec<usize>> = Vec::new();
        for at in order {
            let parents = &self.nodes[*at].parents;
            layer[*at] = parents.iter().map(|parent| layer[*parent] + 1).max().unwrap_or(0);
            layers.resize_with(layers.len().max(layer[*at] + 1), Vec::new);
            layers[layer[*at]].push(*at);
        }
        let most = layers.iter().map(Vec::len).max().unwrap_or(0);
        for (number, mut jobs) in layers.iter().cloned().enumerate() {
            jobs.sort_by_key(|at| {
                let parents = &self.nodes[*at].parents;
                parents.iter().map(|parent| self.nodes[*parent].y).sum::<usize>() / parents.len().max(1)
            });
            let above = (most - jobs.len()) * (HEIGHT + BETWEEN_JOBS) / 2;
            for (row, at) in jobs.into_iter().enumerate() {
                self.nodes[at].x = MARGIN + number * (WIDTH + BETWEEN_LAYERS);
                self.nodes[at].y = MARGIN + above + row * (HEIGHT + BETWEEN_JOBS);
            }
        }
        self.width = 2 * MARGIN + (layers.len() * (WIDTH + BETWEEN_LAYERS)).saturating_sub(BETWEEN_LAYERS);
        self.height = 2 * MARGIN + (most * (HEIGHT + BETWEEN_JOBS)).saturating_sub(BETWEEN_JOBS);
    }

    fn connect(&mut self) {
        let nodes = &self.nodes;
        let pairs = nodes.iter().flat_map(|to| to.parents.iter().map(move |from| (&nodes[*from], to)));
        let edges = pairs.map(|(from, to)| {
            let (x1, y1, x2, y2) = (from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2);
            let (a, b) = (x1 + BETWEEN_LAYERS / 2, x2 - BETWEEN_LAYERS / 2);
            Edge {
                path: format!("M{x1} {y1}C{a} {y1} {b} {y2} {x2} {y2}"),
                is_critical: from.is_critical && to.is_critical,
            }
        });
        self.edges = edges.collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Jobs with the milliseconds they took and what they wait on.
    fn graph(jobs: &[(i64, &[usize])]) -> Graph {
        let node = |(milliseconds, parents): &(i64, &[usize])| Node {
            id: Uuid::nil(),
            name: String::new(),
            kind: String::new(),
            state: JobState::Completed,
            time: String::new(),
            parents: parents.to_vec(),
            more_parents: 0,
            is_critical: false,
            is_here: false,
            milliseconds: *milliseconds,
            x: 0,
            y: 0,
        };
        let nodes = jobs.iter().map(node).collect();
        let mut graph = Graph { nodes, edges: Vec::new(), width: 0, height: 0, folded: false };
        let order = graph.order();
        graph.mark_critical(&order);
        graph.place(&order);
        graph.connect();
        graph
    }

    fn critical(graph: &Graph) -> Vec<usize> {
        graph.nodes.iter().enumerate().filter(|(_, node)| node.is_critical).map(|(at, _)| at).collect()
    }

    #[test]
    fn a_job_is_right_of_all_that_it_waits_on_and_none_lies_on_another() {
        // 4 waits on the start and on the end of a chain.
        let graph = graph(&[(1, &[]), (1, &[0]), (1, &[1]), (1, &[0]), (1, &[0, 2]), (1, &[])]);
        for node in &graph.nodes {
            assert!(node.parents.iter().all(|parent| graph.nodes[*parent].x + WIDTH < node.x));
            assert!(node.x + WIDTH <= graph.width && node.y + HEIGHT <= graph.height);
        }
        let mut places: Vec<_> = graph.nodes.iter().map(|node| (node.x, node.y)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!((places.len(), graph.edges.len()), (6, 5));
    }

    #[test]
    fn the_critical_path_is_the_chain_that_took_longest() {
        assert_eq!(critical(&graph(&[(10, &[]), (500, &[0]), (20, &[0]), (5, &[1, 2])])), [0, 1, 3]);
        assert_eq!(critical(&graph(&[(900, &[]), (10, &[]), (10, &[1])])), [] as [usize; 0]);
        // Of what has not started, the longest chain.
        assert_eq!(critical(&graph(&[(0, &[]), (0, &[0]), (0, &[0]), (0, &[2])])), [0, 2, 3]);
    }

    #[test]
    fn an_empty_graph_is_drawn_too() {
        assert!(graph(&[]).render().unwrap().contains("<svg"));
    }
}
