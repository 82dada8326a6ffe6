// The certificate in force: makes one SSL a connection and swaps for a new certificate while
// serving. Not the handshake and not the bytes: that is the transport's.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "http/transport.hpp"

using SSL_CTX = struct ssl_ctx_st;  // NOLINT(readability-identifier-naming): OpenSSL's own name

namespace larder::http {

class TlsContext {
public:
    // Chain and key, PEM. Throws Error{bad_request}, naming the file and OpenSSL's reason; the old
    // ones stay in force then. New connections get the new ones. [any]
    void use(const std::string& chain_file, const std::string& key_file);
    // For a server's side of one connection; null as long as there is no certificate. [any]
    SslPointer make() const;
    bool ready() const;  // [any]

private:
    mutable std::mutex mutex_;
    std::shared_ptr<SSL_CTX> context_;  // guarded by mutex_
};

}  // namespace larder::http
