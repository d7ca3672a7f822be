//! The hashes of RFC 6962, section 2.1: a tree is built leaf by leaf, holding no more than one hash a level.

use sha2::{Digest as _, Sha256};

use crate::evidence::Digest;

/// SHA-256 of 0x00, the salt and the data. RFC 6962 has no salt: to it, salt and data are the leaf's input.
pub fn leaf(salt: &[u8; 32], data: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0]).chain_update(salt).chain_update(data).finalize().into())
}

/// SHA-256 of 0x01 and the hashes of both sides.
fn node(left: Digest, right: Digest) -> Digest {
    Digest(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// A tree to which leaves are being added; it notes the audit path of one of them.
#[derive(Debug, Default)]
pub struct Builder {
    /// Complete subtrees, largest first.
    subtrees: Vec<Subtree>,
    leaves: u64,
    target: Option<u64>,
    path: Vec<Digest>,
}

#[derive(Clone, Copy, Debug)]
struct Subtree {
    hash: Digest,
    leaves: u64,
    has_target: bool,
}

impl Builder {
    /// A tree whose audit path to the leaf at `target` is wanted.
    pub fn with_path_to(target: u64) -> Self {
        Self { target: Some(target), ..Self::default() }
    }

    /// Adds a leaf.
    pub fn add(&mut self, leaf: Digest) {
        let mut last = Subtree { hash: leaf, leaves: 1, has_target: self.target == Some(self.leaves) };
        self.leaves += 1;
        while let Some(before) = self.subtrees.pop_if(|before| before.leaves == last.leaves) {
            last = self.join(before, last);
        }
        self.subtrees.push(last);
    }

    fn join(&mut self, left: Subtree, right: Subtree) -> Subtree {
        if left.has_target {
            self.path.push(right.hash);
        } else if right.has_target {
            self.path.push(left.hash);
        }
        Subtree {
            hash: node(left.hash, right.hash),
            leaves: left.leaves + right.leaves,
            has_target: left.has_target || right.has_target,
        }
    }

    /// The root, and the audit path to the leaf that was wanted; none of a tree without leaves.
    pub fn finish(mut self) -> Option<(Digest, Vec<Digest>)> {
        let mut last = self.subtrees.pop()?;
        while let Some(before) = self.subtrees.pop() {
            last = self.join(before, last);
        }
        Some((last.hash, self.path))
    }
}

/// The root to which `path` leads from the leaf at `index` of `size` (RFC 9162, section 2.1.3.2); none if the path is not
/// as long as such a tree's.
pub fn root_of(leaf: Digest, index: u64, size: u64, path: &[Digest]) -> Option<Digest> {
    let (mut at, mut last) = (index, size.checked_sub(1).filter(|last| index <= *last)?);
    let mut root = leaf;
    for side in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(*side, root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = node(root, *side);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Builder, leaf, node, root_of};
    use crate::evidence::Digest;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|n| leaf(&[0; 32], &n.to_be_bytes())).collect()
    }

    /// The definition of RFC 6962, word by word.
    fn root(leaves: &[Digest]) -> Digest {
        match leaves {
            [only] => *only,
            leaves => {
                let split = leaves.len().next_power_of_two() / 2;
                node(root(&leaves[..split]), root(&leaves[split..]))
            }
        }
    }

    proptest! {
        #[test]
        fn roots_and_paths_are_those_of_the_definition(count in 1u64..80, index in any::<prop::sample::Index>()) {
            let (leaves, index) = (leaves(count), index.index(usize::try_from(count).expect("small")));
            let mut tree = Builder::with_path_to(index as u64);
            for leaf in &leaves {
                tree.add(*leaf);
            }
            let (found, path) = tree.finish().expect("leaves");
            prop_assert_eq!(found, root(&leaves));
            prop_assert_eq!(root_of(leaves[index], index as u64, count, &path), Some(found));
            for (n, leaf) in leaves.iter().enumerate() {
                prop_assert_eq!(root_of(*leaf, index as u64, count, &path) == Some(found), n == index);
            }
            prop_assert_eq!(root_of(leaves[index], index as u64, count, &path[..path.len().saturating_sub(1)]) == Some(found), count == 1);
        }
    }

    #[test]
    fn a_tree_without_leaves_has_no_root() {
        assert!(Builder::default().finish().is_none());
        assert_eq!(root_of(leaves(1)[0], 0, 0, &[]), None);
        assert_eq!(root_of(leaves(1)[0], 1, 1, &[]), None);
    }
}
