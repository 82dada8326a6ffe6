// The changing routes of kv: set, patch, increment, delete, transactions, and a bucket's checkpoint
// and end. Not the reading ones: those are kv_routes.hpp's and kv_watch.hpp's.
#pragma once

#include <cstdint>
#include <memory>

#include "kv_buckets.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"

namespace larder::kv {

class KvWrites {
public:
    // `max_value` in bytes of JSON text.
    KvWrites(Buckets& buckets, Host& host, std::uint64_t max_value);

    void declare(Routes& routes);

private:
    void declare_keys(Routes& routes);  // PUT, PATCH, DELETE of one key
    struct Write;
    struct Edit;
    struct Batch;

    void put(const Request& request, Reply reply);
    void patch(const Request& request, Reply reply);
    void increment(const Request& request, Reply reply);
    void remove(const Request& request, Reply reply);
    void transact(const Request& request, Reply reply);
    Response checkpoint(const Request& request);
    Response remove_bucket(const Request& request);

    std::shared_ptr<Bucket> bucket_for(const Request& request, const Write& write);
    void commit_put(const std::shared_ptr<Write>& write);
    void commit_patch(const std::shared_ptr<Edit>& edit);
    void patch_apart(const std::shared_ptr<Edit>& edit, int tries);
    void commit_batch(const std::shared_ptr<Batch>& batch);
    void answer_written(Write& write, const storage::Outcome& outcome);
    void refuse(Reply& reply, const storage::Outcome& outcome);

    Buckets& buckets_;
    Host& host_;
    const std::uint64_t max_value_;
    Counter& writes_;
    Counter& refused_writes_;
};

}  // namespace larder::kv
