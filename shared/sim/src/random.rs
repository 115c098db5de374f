//! Numbers from a seed.

/// SplitMix64's output function (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): a bijection that leaves no trace of order in its input.
pub(crate) fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The step between two states of the generator: 2⁶⁴ divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number at a place of the sequence that a seed begins.
pub(crate) fn at(seed: u64, place: u64) -> u64 {
    mix(seed.wrapping_add(place.wrapping_mul(STEP)))
}

/// A sequence of numbers; the same seed gives the same.
#[derive(Clone, Debug)]
pub struct Numbers {
    seed: u64,
    place: u64,
}

impl Numbers {
    /// The sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, place: 0 }
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.place = self.place.wrapping_add(1);
        at(self.seed, self.place)
    }

    /// A number below `bound`, 0 where `bound` is 0. The bias of the remainder does not matter for
    /// bounds as small as those asked for here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_generator() {
        // The first outputs of SplitMix64 for seed 1234567, as its reference implementation gives
        // them.
        let mut numbers = Numbers::new(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| numbers.draw()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
