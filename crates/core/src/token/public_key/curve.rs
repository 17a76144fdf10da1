//! Is a point on its curve (SEC 2 sections 2.4.2 and 2.5.1)? A host would only say later that nothing verifies with it.
//!
//! Every number is public, so nothing here takes a constant time. It is as short as it can be, and slow: some ten
//! microseconds for a key, which is read once.

/// A number below 2^384, its least significant digit first.
type Number = [u64; 6];

/// A curve y^2 = x^3 - 3x + b over the integers modulo `prime`.
#[derive(Debug)]
pub(in crate::token) struct Curve {
    /// The length of a coordinate and of the order, bytes.
    pub(in crate::token) bytes: usize,
    prime: Number,
    b: Number,
    /// The number of points, big-endian; coordinates of signatures are below it.
    pub(in crate::token) order: &'static [u8],
}

/// P-256, which is secp256r1.
pub(in crate::token) static P256: Curve = Curve {
    bytes: 32,
    prime: [0xffff_ffff_ffff_ffff, 0x0000_0000_ffff_ffff, 0, 0xffff_ffff_0000_0001, 0, 0],
    b: [
        0x3bce_3c3e_27d2_604b,
        0x651d_06b0_cc53_b0f6,
        0xb3eb_bd55_7698_86bc,
        0x5ac6_35d8_aa3a_93e7,
        0,
        0,
    ],
    order: b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51",
};

/// P-384, which is secp384r1.
pub(in crate::token) static P384: Curve = Curve {
    bytes: 48,
    prime: [
        0x0000_0000_ffff_ffff,
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_fffe,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
    ],
    b: [
        0x2a85_c8ed_d3ec_2aef,
        0xc656_398d_8a2e_d19d,
        0x0314_088f_5013_875a,
        0x181d_9c6e_fe81_4112,
        0x988e_056b_e3f8_2d19,
        0xb331_2fa7_e23e_e7e4,
    ],
    order: b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xc7\x63\x4d\x81\xf4\x37\x2d\xdf\x58\x1a\x0d\xb2\x48\xb0\xa7\x7a\xec\xec\x19\x6a\xcc\xc5\x29\x73",
};

impl Curve {
    /// Whether the point with these coordinates, big-endian and of full length, is on the curve.
    pub(in crate::token) fn has(&self, x: &[u8], y: &[u8]) -> bool {
        if x.len() != self.bytes || y.len() != self.bytes {
            return false;
        }
        let (x, y) = (number(x), number(y));
        if !self.is_reduced(&x) || !self.is_reduced(&y) {
            return false;
        }
        let three = [3, 0, 0, 0, 0, 0];
        let minus_three = less(&self.prime, &three).0;
        let factor = self.sum(&self.product(&x, &x), &minus_three);
        self.product(&y, &y) == self.sum(&self.product(&x, &factor), &self.b)
    }

    fn is_reduced(&self, number: &Number) -> bool {
        less(number, &self.prime).1
    }

    fn sum(&self, a: &Number, b: &Number) -> Number {
        let mut sum = [0; 6];
        let mut carry = false;
        for (digit, (a, b)) in sum.iter_mut().zip(a.iter().zip(b)) {
            (*digit, carry) = a.carrying_add(*b, carry);
        }
        let (reduced, is_below) = less(&sum, &self.prime);
        if is_below && !carry { sum } else { reduced }
    }

    fn product(&self, a: &Number, b: &Number) -> Number {
        let mut product = [0; 6];
        for digit in b.iter().rev() {
            for bit in (0..u64::BITS).rev() {
                product = self.sum(&product, &product);
                if (digit >> bit) & 1 == 1 {
                    product = self.sum(&product, a);
                }
            }
        }
        product
    }
}

/// The difference, and whether it is below 0.
fn less(a: &Number, b: &Number) -> (Number, bool) {
    let mut difference = [0; 6];
    let mut borrow = false;
    for (digit, (a, b)) in difference.iter_mut().zip(a.iter().zip(b)) {
        (*digit, borrow) = a.borrowing_sub(*b, borrow);
    }
    (difference, borrow)
}

/// The number of these big-endian bytes, of which there are at most 48.
fn number(bytes: &[u8]) -> Number {
    let mut number = [0; 6];
    for (digit, chunk) in number.iter_mut().zip(bytes.rchunks(8)) {
        *digit = chunk.iter().fold(0, |digit, byte| digit << 8 | u64::from(*byte));
    }
    number
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "a test that cannot go on fails"
    )]

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// The generators (SEC 2 sections 2.4.2 and 2.5.1).
    fn generators() -> [(&'static Curve, Vec<u8>, Vec<u8>); 2] {
        [
            (
                &P256,
                hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
                hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
            ),
            (
                &P384,
                hex(
                    "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7",
                ),
                hex(
                    "3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f",
                ),
            ),
        ]
    }

    #[test]
    fn the_generator_and_its_inverse_are_on_the_curve() {
        for (curve, x, y) in generators() {
            assert!(curve.has(&x, &y));
            let minus_y = less(&curve.prime, &number(&y)).0;
            let bytes: Vec<u8> = minus_y.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect();
            assert!(curve.has(&x, &bytes[48 - curve.bytes..]));
        }
    }

    #[test]
    fn a_point_with_one_bit_changed_is_not() {
        for (curve, x, y) in generators() {
            for bit in 0..curve.bytes * 8 {
                let mut other = y.clone();
                other[bit / 8] ^= 1 << (bit % 8);
                assert!(!curve.has(&x, &other), "{bit}");
            }
        }
    }

    #[test]
    fn coordinates_have_the_full_length_and_are_below_the_prime() {
        for (curve, x, y) in generators() {
            assert!(!curve.has(&x[1..], &y) && !curve.has(&x, &y[1..]) && !curve.has(&[], &[]));
            assert!(!curve.has(&[&[0], &x[..]].concat(), &y));
            let prime: Vec<u8> = curve.prime.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect();
            let prime = &prime[48 - curve.bytes..];
            assert!(!curve.has(prime, &y) && !curve.has(&x, prime));
            let zero = vec![0; curve.bytes];
            assert!(!curve.has(&zero, &zero));
        }
    }
}
