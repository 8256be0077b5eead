//! Ranges of addresses from which a key may be used.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// The most ranges that one key can have.
pub const MAX_RANGES: usize = 100;
/// In an IPv6 address that stands for an IPv4 one, so many bits say just that.
const MAPPED_BITS: u8 = 96;

/// A range of addresses, written as `10.0.0.0/8`, `2001:db8::/32` or as one address. It has one form: a single address is
/// shown without a prefix, and IPv4 written as IPv6 (`::ffff:192.0.2.0/120`) becomes IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange(IpNet);

/// Why a text is not a range. Says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRange {
    /// Neither an address nor a range.
    #[error("write an IPv4 or IPv6 address or a range in CIDR notation, like 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32")]
    Unreadable,
    /// The number behind the slash.
    #[error("the prefix behind the slash is a whole number of at most {0} for such an address")]
    Prefix(u8),
    /// The address says more than the prefix covers.
    #[error("the address has bits behind its prefix: write {0} for the whole range, or {1} for the one address")]
    HostBits(IpNet, IpAddr),
}

impl AddressRange {
    /// The range.
    pub const fn net(self) -> IpNet {
        self.0
    }

    /// Are all addresses of `other` in this range?
    pub fn covers(self, other: Self) -> bool {
        self.0.contains(&other.0)
    }
}

impl FromStr for AddressRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let text = text.trim();
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let ip: IpAddr = address.parse().map_err(|_| InvalidRange::Unreadable)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            // Not `+8` and not `08`: what other programs may read otherwise is not accepted.
            Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) || (digits.len() > 1 && digits.starts_with('0')) => {
                return Err(InvalidRange::Prefix(most));
            }
            Some(digits) => digits.parse().ok().filter(|prefix| *prefix <= most).ok_or(InvalidRange::Prefix(most))?,
        };
        let net = canonical(IpNet::new(ip, prefix).map_err(|_| InvalidRange::Prefix(most))?);
        if net.addr() != net.network() {
            return Err(InvalidRange::HostBits(net.trunc(), net.addr()));
        }
        Ok(Self(net))
    }
}

/// IPv4 in the form of IPv6 as IPv4: the clients' addresses are compared in that form.
fn canonical(net: IpNet) -> IpNet {
    let IpNet::V6(long) = net else { return net };
    let short = long.prefix_len().checked_sub(MAPPED_BITS).zip(long.addr().to_ipv4_mapped());
    short.and_then(|(prefix, ip)| Ipv4Net::new(ip, prefix).ok()).map_or(net, IpNet::V4)
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl TryFrom<String> for AddressRange {
    type Error = InvalidRange;

    fn try_from(text: String) -> Result<Self, InvalidRange> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

/// A list of ranges with each of them once, in the order given; refused if there are too many.
pub fn checked_ranges(ranges: Vec<AddressRange>) -> Result<Vec<AddressRange>, Problem> {
    if ranges.len() > MAX_RANGES {
        return Err(Problem::invalid("ip_allow", format!("A key may have at most {MAX_RANGES} addresses and ranges.")));
    }
    let mut once = Vec::with_capacity(ranges.len());
    for range in ranges {
        if !once.contains(&range) {
            once.push(range);
        }
    }
    Ok(once)
}

/// Reads ranges from what a person typed: one a line, or with commas or spaces between. What cannot be read is named by its
/// place, as `ip_allow[2]`, counted from 0.
pub fn read_ranges(text: &str) -> Result<Vec<AddressRange>, Problem> {
    let words = text.split([',', ';', ' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let read = |(at, word): (usize, &str)| {
        word.parse().map_err(|why: InvalidRange| Problem::invalid(format!("ip_allow[{at}]"), format!("Entry {}: {why}.", at + 1)))
    };
    words.enumerate().map(read).collect::<Result<_, _>>().and_then(checked_ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(text: &str) -> String {
        text.parse::<AddressRange>().unwrap().to_string()
    }

    #[test]
    fn a_range_has_one_form() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            (" 203.0.113.7 ", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::/32", "2001:db8::/32"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_range_says_what_to_write() {
        let refused = |text: &str| text.parse::<AddressRange>().unwrap_err();
        for text in
            ["", "/", "host", "10.0.0", "10.0.0.256", "010.0.0.1", "fe80::1%eth0", "10.0.0.1:80", "[::1]", "10.0.0.0/8/8", "1.2.3.4 /8"]
        {
            assert!(matches!(refused(text), InvalidRange::Unreadable | InvalidRange::Prefix(_)), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/x", "10.0.0.0/255.0.0.0"] {
            assert_eq!(refused(text), InvalidRange::Prefix(32), "{text}");
        }
        assert_eq!(refused("::/129"), InvalidRange::Prefix(128));
        let words = refused("10.0.0.5/8").to_string();
        assert_eq!(words, "the address has bits behind its prefix: write 10.0.0.0/8 for the whole range, or 10.0.0.5 for the one address");
        assert!(refused("::ffff:192.0.2.9/120").to_string().contains("192.0.2.0/24"));
    }

    #[test]
    fn a_typed_list_is_read_and_its_faulty_entry_is_named() {
        let shown: Vec<_> =
            read_ranges("10.0.0.0/8, 192.0.2.1\r\n\n2001:db8::/32 10.0.0.0/8").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]);
        assert_eq!(read_ranges("\n ").unwrap(), []);
        let problem = read_ranges("10.0.0.0/8\n192.0.2.1\nhere").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("ip_allow[2]"));
        assert!(problem.message.starts_with("Entry 3: "));
        let many: Vec<_> = (0..=MAX_RANGES).map(|at| format!("10.0.0.{at}")).collect();
        assert_eq!(read_ranges(&many.join(",")).unwrap_err().field.as_deref(), Some("ip_allow"));
    }

    /// An address as the number that it is, IPv4 within IPv6.
    fn bits(ip: IpAddr) -> u128 {
        match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
            IpAddr::V6(ip) => ip.to_bits(),
        }
    }

    proptest! {
        #[test]
        fn a_range_holds_the_addresses_whose_first_bits_are_its_own(base: u128, other: u128, prefix in 0u32..=128, near in 0u32..=128, old: bool) {
            // Of IPv4 the upper 96 bits are given.
            let mapped = |bits: u128| (bits & 0xffff_ffff) | 0xffff_0000_0000;
            let (base, other) = if old { (mapped(base), mapped(other)) } else { (base, other) };
            let prefix = if old { 96 + prefix % 33 } else { prefix };
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            let network = std::net::Ipv6Addr::from_bits(base & mask);
            // Many of the addresses share their first bits with the range.
            let low = u128::MAX.checked_shr(near).unwrap_or(0);
            let asked = (base & !low) | (other & low);
            let (network_text, length) = match network.to_ipv4_mapped().filter(|_| prefix >= 96) {
                Some(ip) if old => (ip.to_string(), prefix - 96),
                _ => (network.to_string(), prefix),
            };
            let range: AddressRange = format!("{network_text}/{length}").parse().unwrap();
            let asked = IpAddr::from(std::net::Ipv6Addr::from_bits(asked));
            // What is IPv4 in truth is never in a range of IPv6 that is wider than all of IPv4, and the other way round.
            let same_family = asked.to_canonical().is_ipv4() == range.net().addr().is_ipv4();
            let expected = same_family && bits(asked) & mask == base & mask;
            prop_assert_eq!(range.net().contains(&asked.to_canonical()), expected, "{} in {}", asked, range);
        }

        #[test]
        fn a_list_is_read_as_its_entries_are(words in proptest::collection::vec("(10\\.0\\.0\\.[0-9]{1,2}(/[0-9]{1,2})?|::[0-9a-f]{1,2}|x)", 0..6), between in "[,; \n]{1,3}") {
            let one_by_one: Vec<_> = words.iter().map(|word| word.parse::<AddressRange>()).collect();
            match read_ranges(&words.join(&between)) {
                Ok(ranges) => {
                    let mut once: Vec<AddressRange> = Vec::new();
                    for range in one_by_one {
                        let range = range.unwrap();
                        if !once.contains(&range) {
                            once.push(range);
                        }
                    }
                    prop_assert_eq!(ranges, once);
                }
                Err(problem) => {
                    let first = one_by_one.iter().position(Result::is_err).unwrap();
                    prop_assert_eq!(problem.field, Some(format!("ip_allow[{first}]")));
                }
            }
        }

        #[test]
        fn no_text_makes_the_reader_stumble_and_what_it_shows_it_reads(text in "[0-9a-f:./ %]{0,45}") {
            if let Ok(range) = text.parse::<AddressRange>() {
                prop_assert_eq!(range.to_string().parse::<AddressRange>(), Ok(range));
            }
        }
    }
}
