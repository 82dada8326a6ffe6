// kv over HTTP: turns requests into reads and commits of buckets, and outcomes into answers. Knows
// no files.
#pragma once

#include <cstdint>
#include <memory>

#include "kv_buckets.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::kv {

class KvRoutes {
public:
    // `max_value` in bytes of JSON text.
    KvRoutes(Buckets& buckets, Host& host, std::uint64_t max_value);

    void declare(Routes& routes);

private:
    struct Put;

    void list_buckets(const Request& request, Reply reply) const;
    void list_keys(const Request& request, Reply reply) const;
    void get(const Request& request, Reply reply) const;
    void put(const Request& request, Reply reply);
    void remove(const Request& request, Reply reply);

    std::shared_ptr<Bucket> existing(const Request& request) const;
    void commit(const std::shared_ptr<Put>& put);
    void refuse(Put& put, const storage::Outcome& outcome);

    Buckets& buckets_;
    Host& host_;
    const std::uint64_t max_value_;
    Counter& writes_;
    Counter& refused_writes_;
};

}  // namespace larder::kv
