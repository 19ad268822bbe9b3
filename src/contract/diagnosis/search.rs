//! The search for what was signed, within a limit of work.

use ring::signature::{ED25519, UnparsedPublicKey};
use subtle::ConstantTimeEq;

use super::given::Target;
use super::keys::{Key, KeyMaterial};
use super::parts::Check;
use super::variants::{DIMENSIONS, Variants};
use crate::contract::encoding::Encoding;
use crate::contract::signature::Algorithm;

/// What one diagnosis may hash, in bytes.
pub const WORK_BYTES: usize = 64 * 1024 * 1024;

/// What a try costs beside its content, in bytes that could be hashed meanwhile.
const TRY_BYTES: usize = 512;
/// What comparing with one signature costs.
const COMPARE_BYTES: usize = 64;
/// What verifying one by a key pair costs, beside its content.
const VERIFY_BYTES: usize = 64 * 1024;

/// Things that may be wrong with one request at the same time.
pub(super) const MOST_DEVIATIONS: usize = 2;

/// How much work is left.
pub(super) struct Budget {
    left: usize,
    pub(super) tries: usize,
    /// Whether something wasn't tried.
    pub(super) exhausted: bool,
}

impl Budget {
    pub(super) fn new() -> Budget {
        Budget { left: WORK_BYTES, tries: 0, exhausted: false }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.exhausted = true;
                false
            }
        }
    }
}

/// A signature that was found.
pub(super) struct Hit {
    pub(super) at: [usize; DIMENSIONS],
    /// The number of the target.
    pub(super) target: usize,
    /// The encoding that it is in, where it isn't the contract's.
    pub(super) encoding: Option<Encoding>,
}

/// Looks for one of the targets among the variants that have exactly this many deviations.
pub(super) fn search(
    check: &Check<'_>,
    targets: &[Target],
    variants: &Variants,
    deviations: usize,
    budget: &mut Budget,
) -> Option<Hit> {
    if targets.is_empty() || variants.keys.is_empty() {
        return None;
    }
    let verified: usize = targets.iter().map(|target| target.pair_signatures().len()).sum();
    for at in combinations(variants.sizes(), deviations) {
        let (key, algorithm) = (&variants.keys[at[0]], variants.algorithms[at[6]]);
        let parts = &variants.contents[at[5]].0;
        let material = variants.material(at);
        let content = material.content(parts, &key.text);
        let bytes = content.as_ref().map_or(material.body.len(), String::len);
        let cost = match algorithm {
            Algorithm::Ed25519 => verified * (bytes + VERIFY_BYTES),
            Algorithm::Token => targets.len() * (bytes + COMPARE_BYTES),
            _ => bytes + targets.len() * COMPARE_BYTES,
        };
        // Putting it together costs something too, where a part is missing in the end.
        if !budget.spend(TRY_BYTES + cost) {
            return None;
        }
        let Some(content) = content else { continue };
        budget.tries += 1;
        if let Some((target, encoding)) = matching(check, targets, (key, algorithm), &content) {
            return Some(Hit { at, target, encoding });
        }
    }
    None
}

fn matching(
    check: &Check<'_>,
    targets: &[Target],
    (key, algorithm): (&Key, Algorithm),
    content: &str,
) -> Option<(usize, Option<Encoding>)> {
    let mut numbered = targets.iter().enumerate();
    match &key.material {
        KeyMaterial::Ed25519(public) => {
            let public = UnparsedPublicKey::new(&ED25519, public);
            let signs = |bytes: &Vec<u8>| public.verify(content.as_bytes(), bytes).is_ok();
            let found = numbered.find(|(_, target)| target.pair_signatures().iter().any(signs));
            found.map(|(number, _)| (number, None))
        }
        KeyMaterial::Symmetric(_) if algorithm == Algorithm::Token => {
            let is = |text: &str| bool::from(text.as_bytes().ct_eq(key.text.as_bytes()));
            let found = numbered.find(|(_, target)| is(&target.text));
            found.map(|(number, _)| (number, None))
        }
        KeyMaterial::Symmetric(bytes) => {
            let digest = algorithm.compute(bytes, content.as_bytes());
            let expected = check.signature.encoding;
            numbered.find_map(|(number, target)| {
                target.is(&digest, expected).map(|encoding| (number, encoding))
            })
        }
    }
}

/// All places that are off the first in exactly this many dimensions.
fn combinations(
    sizes: [usize; DIMENSIONS],
    deviations: usize,
) -> Box<dyn Iterator<Item = [usize; DIMENSIONS]>> {
    let along = move |dimension: usize| (1..sizes[dimension]).map(move |at| (dimension, at));
    let first = [0; DIMENSIONS];
    let moved = |mut at: [usize; DIMENSIONS], (dimension, to): (usize, usize)| {
        at[dimension] = to;
        at
    };
    let one = (0..DIMENSIONS).flat_map(along).map(move |step| moved(first, step));
    match deviations {
        0 => Box::new(std::iter::once(first)),
        1 => Box::new(one),
        _ => Box::new(one.flat_map(move |at| {
            // Each pair once: the second dimension lies behind the first.
            let used = at.iter().rposition(|&place| place > 0).unwrap_or(0);
            let second = (used + 1..DIMENSIONS).flat_map(along);
            second.map(move |step| moved(at, step))
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_comes_once_and_the_likely_ones_first() {
        let sizes = [3, 2, 1, 1, 2, 1, 1];
        let all: Vec<_> = (0..=2).flat_map(|count| combinations(sizes, count)).collect();
        assert_eq!(all[0], [0; DIMENSIONS]);
        let off = |at: &[usize; DIMENSIONS]| at.iter().filter(|&&place| place > 0).count();
        assert!(all.is_sorted_by_key(off));
        // 1 + (2 + 1 + 1) + (2 * 1 + 2 * 1 + 1 * 1)
        assert_eq!(all.len(), 10);
        let mut distinct = all.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn work_has_an_end() {
        let mut budget = Budget::new();
        let spent = std::iter::repeat_with(|| budget.spend(1024 * 1024)).take_while(|spent| *spent);
        assert_eq!(spent.count(), WORK_BYTES / 1024 / 1024);
        assert!(budget.exhausted);
    }
}
