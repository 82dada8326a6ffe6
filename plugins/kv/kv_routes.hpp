// The reading routes of kv: buckets, lists, values. Knows no files, and changes nothing.
#pragma once

#include <memory>

#include "kv_buckets.hpp"
#include "larder/host.hpp"
#include "larder/http.hpp"
#include "storage-kit/json_pointer.hpp"

namespace larder::kv {

class Watches;

class KvRoutes {
public:
    KvRoutes(Buckets& buckets, Watches& watches, Host& host);

    void declare(Routes& routes);

private:
    void list_buckets(const Request& request, Reply reply) const;
    void list_keys(const Request& request, Reply reply) const;
    static void give_all(const Request& request, const std::shared_ptr<Bucket>& bucket,
                         Reply reply);
    void get(const Request& request, Reply reply) const;
    void give_part(const storage::DocumentPtr& document, storage::json::Pointer pointer,
                   const storage::Version& version, Response response, Reply reply) const;

    Buckets& buckets_;
    Watches& watches_;
    Host& host_;
};

}  // namespace larder::kv
