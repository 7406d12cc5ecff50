//! Verification by the crate `ring`.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};

use super::key::{Material, PublicKey, Rsa};
use super::verify::Verify;

/// Verifies signatures with the crate `ring`. It has no state.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a value without a state")]
pub struct RingVerifier;

impl Verify for RingVerifier {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match key.material() {
            Material::Rs256(key) => {
                verify_rsa(&RSA_PKCS1_2048_8192_SHA256, key, message, signature)
            }
            Material::Ps256(key) => verify_rsa(&RSA_PSS_2048_8192_SHA256, key, message, signature),
            Material::Es256(key) => {
                // SEC 1 §2.3.3: 4 is the tag of an uncompressed point.
                let mut point = [4; 65];
                let (_, coordinates) = point.split_at_mut(1);
                coordinates.copy_from_slice(key.coordinates());
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(message, signature).is_ok()
            }
            Material::EdDsa(key) => {
                UnparsedPublicKey::new(&ED25519, key.as_bytes()).verify(message, signature).is_ok()
            }
        }
    }
}

fn verify_rsa(parameters: &RsaParameters, key: &Rsa, message: &[u8], signature: &[u8]) -> bool {
    let exponent = key.exponent().to_be_bytes();
    let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
    let exponent = exponent.get(zeros..).unwrap_or_default();
    let key = RsaPublicKeyComponents { n: key.modulus(), e: exponent };
    key.verify(parameters, message, signature).is_ok()
}
