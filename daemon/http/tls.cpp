// TLS 1.2 and up, forward-secret ciphers, ALPN http/1.1 alone; no renegotiation, which no client of
// ours wants and which would let a write wait for a read.
#include "http/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "larder/error.hpp"

namespace larder::http {

namespace {

std::string openssl_reason() {
    std::string text(256, '\0');
    const unsigned long code = ERR_peek_last_error();
    if (code == 0) return "no reason given";
    ERR_error_string_n(code, text.data(), text.size());
    ERR_clear_error();
    text.resize(text.find('\0'));
    return text;
}

[[noreturn]] void refuse(const std::string& what, const std::string& file) {
    throw Error(Errc::bad_request, "tls-certificate",
                fmt::format("{} in {} cannot be used: {}", what, file, openssl_reason()));
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
    static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    const int result =
        SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof kHttp11, offered, offered_size);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

void TlsContext::use(const std::string& chain_file, const std::string& key_file) {
    ERR_clear_error();
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!context) refuse("TLS", chain_file);
    SSL_CTX* const raw = context.get();
    SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
    SSL_CTX_set_options(
        raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(raw, "ECDHE+AESGCM:ECDHE+CHACHA20");
    static constexpr std::string_view kSessionContext = "larder";
    SSL_CTX_set_session_id_context(raw,
                                   // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
                                   reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                   kSessionContext.size());
    SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
    if (SSL_CTX_use_certificate_chain_file(raw, chain_file.c_str()) != 1) {
        refuse("the certificate chain", chain_file);
    }
    if (SSL_CTX_use_PrivateKey_file(raw, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        refuse("the private key", key_file);
    }
    if (SSL_CTX_check_private_key(raw) != 1) refuse("the pair of certificate and key", key_file);
    const std::lock_guard lock(mutex_);
    context_ = context;
}

SslPointer TlsContext::make() const {
    std::shared_ptr<SSL_CTX> context;
    {
        const std::lock_guard lock(mutex_);
        context = context_;
    }
    if (!context) return nullptr;
    SslPointer ssl(SSL_new(context.get()));  // holds the context on its own
    if (ssl) SSL_set_accept_state(ssl.get());
    return ssl;
}

bool TlsContext::ready() const {
    const std::lock_guard lock(mutex_);
    return context_ != nullptr;
}

}  // namespace larder::http
