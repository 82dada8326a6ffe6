#include "admin/openapi_route.hpp"

#include <fmt/format.h>

#include <utility>

#include "storage-kit/digest.hpp"

namespace larder::admin {

OpenApiRoute::OpenApiRoute(Table table, Tags tags, std::string version)
    : table_(std::move(table)), tags_(std::move(tags)), version_(std::move(version)) {}

void OpenApiRoute::declare(Routes& routes) {
    routes.blocking(
        {.method = Method::get,
         .pattern = "/openapi.json",
         .permission = Permission::read,
         .summary = "This document: the routes of all plugins that run",
         .answer_schema = R"({"type": "object",
                         "required": ["openapi", "info", "paths", "components"]})",
         .answer_headers = "ETag: names this text, which changes when a plugin starts or "
                           "stops"},
        [this](const Request& request) { return answer(request); });
}

Response OpenApiRoute::answer(const Request& /*request*/) {
    auto document = current();
    Response response;
    response.headers.emplace_back("Content-Type", "application/json");
    response.headers.emplace_back("ETag", document->etag);
    response.headers.emplace_back("Cache-Control", "no-cache");
    response.body = SharedBytes{document, document->text};
    return response;
}

std::shared_ptr<const OpenApiRoute::Document> OpenApiRoute::current() {
    const auto table = table_();
    const std::scoped_lock lock(mutex_);
    if (document_ == nullptr || document_->of.lock() != table) {
        auto fresh = std::make_shared<Document>();
        fresh->of = table;
        fresh->text = routing::openapi_text(*table, tags_(), version_);
        storage::Sha256 digest;
        digest.update(fresh->text);
        fresh->etag = fmt::format("\"{}\"", digest.finish_hex());
        document_ = std::move(fresh);
    }
    return document_;
}

}  // namespace larder::admin
