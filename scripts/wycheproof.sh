#!/usr/bin/env bash
# Writes test/wycheproof/testdata: what Project Wycheproof has of the algorithms of keys here, with the fields that tests read.
# The source is the module at the version below; go verifies its hash (go.sum). The same version gives the same bytes.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

module=github.com/c2sp/wycheproof@v0.0.0-20260105152342-fca0d3ba9f12
out=$root/test/wycheproof/testdata

# families are the files of each family, without _test.json.
declare -A families=(
  [aead]='aes_gcm chacha20_poly1305 xchacha20_poly1305'
  [ecdsa]='ecdsa_secp256r1_sha256 ecdsa_secp256r1_sha512 ecdsa_secp256r1_sha3_256 ecdsa_secp384r1_sha384 ecdsa_secp521r1_sha512'
  [ecdsa_p1363]='ecdsa_secp256r1_sha256_p1363 ecdsa_secp384r1_sha384_p1363 ecdsa_secp521r1_sha512_p1363'
  [ed25519]=ed25519
  [rsa_signature]='rsa_signature_2048_sha256 rsa_signature_2048_sha3_256 rsa_signature_3072_sha384 rsa_signature_4096_sha512'
  [rsa_pss]='rsa_pss_2048_sha1_mgf1_20 rsa_pss_2048_sha256_mgf1_32 rsa_pss_2048_sha256_mgf1sha1_20
    rsa_pss_2048_sha384_mgf1_48 rsa_pss_3072_sha256_mgf1_32 rsa_pss_4096_sha512_mgf1_64'
  [rsa_oaep]='rsa_oaep_2048_sha1_mgf1sha1 rsa_oaep_2048_sha224_mgf1sha224 rsa_oaep_2048_sha256_mgf1sha1 rsa_oaep_2048_sha256_mgf1sha256
    rsa_oaep_2048_sha384_mgf1sha384 rsa_oaep_2048_sha512_mgf1sha512 rsa_oaep_3072_sha256_mgf1sha256 rsa_oaep_4096_sha512_mgf1sha512'
  [rsa_pkcs1]='rsa_pkcs1_2048'
  [hmac]='hmac_sha1 hmac_sha224 hmac_sha256 hmac_sha384 hmac_sha512 hmac_sha3_224 hmac_sha3_256 hmac_sha3_384 hmac_sha3_512'
  [cmac]=aes_cmac
  [kwp]=aes_kwp
)

# shellcheck disable=SC2016 # it is jq's $file
# keep is a group as it is stored. Of the keys there is the DER alone, of private ones PKCS#8.
keep='.testGroups[] | {
  file: $file, sha, mgfSha, sLen, keySize, ivSize, tagSize, publicKeyDer, privateKeyPkcs8,
  tests: [.tests[] | {tcId, comment, key, iv, aad, msg, ct, tag, sig, "label": .label, result} | with_entries(select(.value != null and .value != ""))]
} | with_entries(select(.value != null))'

require_go
dir=$(cd "$root" && go mod download -json "$module" | jq -r .Dir)
[[ -d $dir/testvectors_v1 ]] || die "$module could not be downloaded"
mkdir -p "$out"
for family in "${!families[@]}"; do
  for file in ${families[$family]}; do
    jq -c --arg file "$file" "$keep" "$dir/testvectors_v1/${file}_test.json"
  done | gzip -9n >"$out/$family.jsonl.gz"
done
install -m 644 "$dir/LICENSE" "$out/LICENSE"
