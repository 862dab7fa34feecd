#include "store/seal.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>

#include "base/error.h"

namespace stayd {
namespace {

constexpr int kBlock = 16;
constexpr std::size_t kHalf = Sealer::kNonceBytes / 2;

const unsigned char* raw(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* raw(char* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
int size_of(std::string_view bytes) {
  return static_cast<int>(bytes.size());
}

// Of OpenSSL itself: no memory, no such cipher, no randomness. Nothing may be stored then.
void must(bool worked) {
  STAYD_ASSERT(worked);
}

}  // namespace

SecretKey::SecretKey(std::string_view bytes) {
  STAYD_ASSERT(bytes.size() == kBytes);
  std::copy(raw(bytes), raw(bytes) + kBytes, bytes_.begin());
}

SecretKey::~SecretKey() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

SecretKey SecretKey::random() {
  SecretKey out;
  must(RAND_bytes(out.bytes_.data(), kBytes) == 1);
  return out;
}

std::string_view SecretKey::bytes() const {
  return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()};
}

std::string hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text += part;
  std::string out(32, '\0');
  unsigned int size = 0;
  must(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(text), text.size(),
            raw(out.data()), &size) != nullptr);
  OPENSSL_cleanse(text.data(), text.size());
  return out;
}

Sealer::Sealer(const SecretKey& key)
    : block_cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr)),
      message_cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr)),
      block_(EVP_CIPHER_CTX_new()),
      sealing_(EVP_CIPHER_CTX_new()),
      opening_(EVP_CIPHER_CTX_new()) {
  must(block_cipher_ && message_cipher_ && block_ && sealing_ && opening_);
  must(EVP_EncryptInit_ex2(block_.get(), block_cipher_.get(), key.data(), nullptr, nullptr) == 1);
  EVP_CIPHER_CTX_set_padding(block_.get(), 0);
  for (EVP_CIPHER_CTX* context : {sealing_.get(), opening_.get()}) {
    must(EVP_CipherInit_ex2(context, message_cipher_.get(), nullptr, nullptr,
                            context == sealing_.get() ? 1 : 0, nullptr) == 1);
  }
  // CMAC's first subkey: the encrypted zero block, doubled in GF(2^128).
  const std::array<unsigned char, kBlock> zero{};
  int size = 0;
  must(EVP_EncryptUpdate(block_.get(), subkey_.data(), &size, zero.data(), kBlock) == 1);
  const bool carry = (subkey_[0] & 0x80) != 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const int next = i + 1 < kBlock ? subkey_[i + 1] >> 7 : 0;
    subkey_[i] = static_cast<unsigned char>(subkey_[i] << 1 | next);
  }
  if (carry) subkey_[kBlock - 1] ^= 0x87;
}

SecretKey Sealer::key_of(std::string_view nonce) {
  unsigned char in[2 * kBlock] = {0, 1, 'X', 0};
  in[kBlock + 1] = 2;
  in[kBlock + 2] = 'X';
  for (int half = 0; half < 2; ++half) {
    unsigned char* block = in + half * kBlock;
    std::copy_n(raw(nonce), kHalf, block + 4);
    for (std::size_t i = 0; i < kBlock; ++i) block[i] ^= subkey_[i];
  }
  char out[2 * kBlock];
  int size = 0;
  must(EVP_EncryptUpdate(block_.get(), raw(out), &size, in, sizeof in) == 1 && size == sizeof out);
  SecretKey key(std::string_view(out, sizeof out));
  OPENSSL_cleanse(out, sizeof out);
  return key;
}

std::string_view Sealer::next_nonce() {
  if (random_used_ == random_.size()) {
    must(RAND_bytes(raw(random_.data()), static_cast<int>(random_.size())) == 1);
    random_used_ = 0;
  }
  const std::string_view out(random_.data() + random_used_, kNonceBytes);
  random_used_ += kNonceBytes;
  return out;
}

void Sealer::seal(std::string_view plain, Associated associated, std::string& out) {
  seal_with(next_nonce(), plain, associated, out);
}

void Sealer::seal_with(std::string_view nonce, std::string_view plain, Associated associated,
                       std::string& out) {
  const SecretKey key = key_of(nonce);
  EVP_CIPHER_CTX* const context = sealing_.get();
  const unsigned char* const iv = raw(nonce.substr(kHalf));
  must(EVP_EncryptInit_ex2(context, nullptr, key.data(), iv, nullptr) == 1);
  int size = 0;
  for (const std::string_view part : associated) {
    must(EVP_EncryptUpdate(context, nullptr, &size, raw(part), size_of(part)) == 1);
  }
  out += nonce;
  const std::size_t at = out.size();
  out.resize(at + plain.size() + kTagBytes);
  must(EVP_EncryptUpdate(context, raw(out.data() + at), &size, raw(plain), size_of(plain)) == 1);
  must(EVP_EncryptFinal_ex(context, raw(out.data() + at + plain.size()), &size) == 1);
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                           out.data() + at + plain.size()) == 1);
}

std::optional<std::string> Sealer::open(std::string_view sealed, Associated associated) {
  if (sealed.size() < kOverhead) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  const std::string_view hidden = sealed.substr(kNonceBytes, sealed.size() - kOverhead);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const SecretKey key = key_of(nonce);
  EVP_CIPHER_CTX* const context = opening_.get();
  const unsigned char* const iv = raw(nonce.substr(kHalf));
  must(EVP_DecryptInit_ex2(context, nullptr, key.data(), iv, nullptr) == 1);
  int size = 0;
  for (const std::string_view part : associated) {
    must(EVP_DecryptUpdate(context, nullptr, &size, raw(part), size_of(part)) == 1);
  }
  std::string out(hidden.size(), '\0');
  must(EVP_DecryptUpdate(context, raw(out.data()), &size, raw(hidden), size_of(hidden)) == 1);
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) == 1);
  if (EVP_DecryptFinal_ex(context, raw(out.data() + out.size()), &size) == 1) return out;
  OPENSSL_cleanse(out.data(), out.size());
  return std::nullopt;
}

}  // namespace stayd
