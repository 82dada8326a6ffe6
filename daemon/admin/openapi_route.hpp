// GET /openapi.json: the document of the route table in force, made once a table. Its text is
// routing/openapi.hpp's.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "larder/http.hpp"
#include "routing/openapi.hpp"
#include "routing/route_table.hpp"

namespace larder::admin {

class OpenApiRoute {
public:
    using Table = std::function<std::shared_ptr<const routing::RouteTable>()>;
    using Tags = std::function<std::vector<routing::Tag>()>;

    OpenApiRoute(Table table, Tags tags, std::string version);

    void declare(Routes& routes);  // this must outlive them

private:
    // One table's document. Immutable.
    struct Document {
        std::weak_ptr<const routing::RouteTable> of;  // nothing of a plugin lives on for it
        std::string text, etag;
    };

    Response answer(const Request& request);
    std::shared_ptr<const Document> current();

    const Table table_;
    const Tags tags_;
    const std::string version_;
    std::mutex mutex_;
    std::shared_ptr<const Document> document_;  // guarded by mutex_
};

}  // namespace larder::admin
