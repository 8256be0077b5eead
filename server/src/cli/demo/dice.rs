//! Chance that repeats for the same seed. For names and dates only: secrets come from the operating system.

/// The generator `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `sides` less one; 0 if there are none.
    pub(super) fn below(&mut self, sides: i64) -> i64 {
        let sides = u64::try_from(sides).unwrap_or_default().max(1);
        i64::try_from(self.next() % sides).unwrap_or_default()
    }

    /// Yes, in so many cases of a hundred.
    pub(super) fn percent(&mut self, percent: i64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(i64::try_from(from.len()).unwrap_or_default());
        from.get(usize::try_from(at).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_all_sides_come_up() {
        let (mut one, mut two) = (Dice::new(7), Dice::new(7));
        let thrown: Vec<i64> = (0..200).map(|_| one.below(6)).collect();
        assert!(thrown.iter().all(|side| *side == two.below(6)));
        assert!((0..6).all(|side| thrown.contains(&side)));
        assert_eq!((one.below(0), one.pick::<u8>(&[])), (0, None));
    }
}
