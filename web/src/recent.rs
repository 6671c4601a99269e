//! What was seen not long ago, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::{Mutex, MutexGuard};

/// Entries in two halves: when the newer one is full the older one is forgotten. At least the last
/// `half` entries are there, and at most twice as many.
#[derive(Debug)]
pub struct Recent<K, V> {
    half: usize,
    halves: Mutex<Halves<K, V>>,
}

#[derive(Debug)]
struct Halves<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Eq + Hash + Copy, V: Copy> Recent<K, V> {
    pub fn new(half: usize) -> Self {
        Self { half, halves: Mutex::new(Halves { newer: HashMap::new(), older: HashMap::new() }) }
    }

    fn halves(&self) -> MutexGuard<'_, Halves<K, V>> {
        self.halves.lock()
    }

    pub fn get(&self, key: &K) -> Option<V> {
        let halves = self.halves();
        halves.newer.get(key).or_else(|| halves.older.get(key)).copied()
    }

    pub fn put(&self, key: K, value: V) {
        let mut halves = self.halves();
        if halves.newer.len() >= self.half && !halves.newer.contains_key(&key) {
            halves.older = std::mem::take(&mut halves.newer);
        }
        halves.newer.insert(key, value);
    }

    pub fn forget(&self, key: &K) {
        let mut halves = self.halves();
        halves.newer.remove(key);
        halves.older.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_remembered_and_memory_is_bounded() {
        let recent = Recent::new(100);
        for number in 0..10_000 {
            recent.put(number, number);
            let halves = recent.halves();
            assert!(halves.newer.len() + halves.older.len() <= 200);
        }
        assert!((9_900..10_000).all(|number| recent.get(&number) == Some(number)));
        assert_eq!(recent.get(&0), None);
        recent.put(9_999, 1);
        assert_eq!(recent.get(&9_999), Some(1));
        recent.forget(&9_999);
        assert_eq!(recent.get(&9_999), None);
    }
}
