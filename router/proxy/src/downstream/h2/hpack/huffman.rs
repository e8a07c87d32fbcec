//! The Huffman code of HPACK (RFC 7541 §5.2), read four bits at a time.

use std::sync::LazyLock;

/// How many bits the code of each byte has (RFC 7541, Appendix B). The codes follow from that: those of a length are
/// consecutive, in the order of their bytes.
const LENGTHS: [u8; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26,
];

/// The end of a string, which must not be in it, has a code of its own: thirty ones.
const END: usize = 256;
const END_LENGTH: u8 = 30;

/// Inner nodes of the tree: one fewer than leaves.
const NODES: usize = 256;

/// Where four bits lead from a node of the tree.
#[derive(Clone, Copy, Default)]
struct Step {
    node: u8,
    /// The byte whose code ends within the four bits; a code has at least five.
    byte: Option<u8>,
    /// They are no part of any code.
    is_bad: bool,
}

/// All that four bits can be.
const FOUR_BITS: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

struct Tree {
    steps: Vec<[Step; 16]>,
    /// Whether a string may end here: on a path of at most seven ones from the root.
    may_end: [bool; NODES],
}

#[derive(Clone, Copy)]
enum Child {
    None,
    Node(u8),
    Leaf(usize),
}

static TREE: LazyLock<Tree> = LazyLock::new(Tree::new);

/// Adds what `coded` stands for to `out`; `None` when it is no string in this code.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let tree = &*TREE;
    let mut node = 0;
    for byte in coded {
        for bits in [byte >> 4, byte & 0xF] {
            let step = tree.steps.get(usize::from(node))?.get(usize::from(bits))?;
            if step.is_bad {
                return None;
            }
            out.extend(step.byte);
            node = step.node;
        }
    }
    tree.may_end.get(usize::from(node)).copied().unwrap_or_default().then_some(())
}

// === impl Tree ===

impl Tree {
    fn new() -> Self {
        let children = children();
        let child = |node: u8, bit: u8| {
            children.get(usize::from(node)).and_then(|pair| pair.get(usize::from(bit))).copied()
        };
        let walk = |node: u8, bits: u8| {
            let mut step = Step { node, ..Step::default() };
            for shift in (0..4).rev() {
                match child(step.node, bits >> shift & 1) {
                    Some(Child::Node(next)) => step.node = next,
                    Some(Child::Leaf(symbol)) => {
                        step.byte = u8::try_from(symbol).ok();
                        step.is_bad |= symbol == END;
                        step.node = 0;
                    }
                    Some(Child::None) | None => step.is_bad = true,
                }
            }
            step
        };
        let steps = (0..=u8::MAX).map(|node| FOUR_BITS.map(|bits| walk(node, bits))).collect();
        let mut may_end = [false; NODES];
        let mut node = 0;
        for _ in 0..8 {
            if let Some(slot) = may_end.get_mut(usize::from(node)) {
                *slot = true;
            }
            if let Some(Child::Node(next)) = child(node, 1) {
                node = next;
            }
        }
        Self { steps, may_end }
    }
}

/// What follows each inner node after a zero and after a one.
fn children() -> Vec<[Child; 2]> {
    let mut symbols: Vec<(u8, usize)> = LENGTHS.into_iter().zip(0..).collect();
    symbols.push((END_LENGTH, END));
    symbols.sort_unstable();
    let mut children = vec![[Child::None; 2]];
    let (mut code, mut before) = (0_u32, 0);
    for (length, symbol) in symbols {
        code <<= length - before;
        before = length;
        let mut node = 0;
        for shift in (0..length).rev() {
            let next = u8::try_from(children.len()).unwrap_or_default();
            let Some(slot) =
                children.get_mut(node).and_then(|pair| pair.get_mut((code >> shift & 1) as usize))
            else {
                break;
            };
            match slot {
                _ if shift == 0 => *slot = Child::Leaf(symbol),
                Child::Node(there) => node = usize::from(*there),
                _ => {
                    *slot = Child::Node(next);
                    node = usize::from(next);
                    children.push([Child::None; 2]);
                }
            }
        }
        code += 1;
    }
    children
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decode(coded, &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (coded, text) in [
            (
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
            (&[0x64, 0x02], "302"),
            (&[], ""),
        ] {
            assert_eq!(decoded(coded).as_deref(), Some(text));
        }
    }

    #[test]
    fn every_byte_has_a_code_and_the_end_has_none_in_a_string() {
        let inner = children();
        assert_eq!(inner.len(), NODES);
        let leaves = inner.iter().flatten().filter(|child| matches!(child, Child::Leaf(_))).count();
        assert_eq!(leaves, 257);
        assert!(decoded(&[0xff; 4]).is_none(), "the end of a string");
        assert!(decoded(&[0x1f, 0xff]).is_none(), "more than seven bits after the last code");
        assert!(decoded(&[0x18]).is_none(), "what comes after the last code is not all ones");
    }
}
