// How the daemon's own routes make their JSON: objects in order, answers, pages of a list. Not for
// plugins, and not for long answers, which would be streamed.
#pragma once

#include <Poco/JSON/Array.h>
#include <Poco/JSON/Object.h>

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "larder/http.hpp"
#include "larder/time.hpp"
#include "storage-kit/cursor.hpp"
#include "storage-kit/query.hpp"

namespace larder::admin {

using Array = Poco::JSON::Array;
using Object = Poco::JSON::Object;

inline Object object() { return Object(Poco::JSON_PRESERVE_KEY_ORDER); }

inline Response json(const Object& body, int status = 200) {
    std::ostringstream text;
    body.stringify(text);
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "application/json");
    response.headers.emplace_back("Cache-Control", "no-store");
    response.body = text.str();
    return response;
}

// RFC 3339, or null for 0.
inline Poco::Dynamic::Var time_or_null(std::int64_t unix_ms) {
    return unix_ms == 0 ? Poco::Dynamic::Var() : Poco::Dynamic::Var(rfc3339(unix_ms));
}

// The rows of a list that fall on one page; `place_of` gives an item's place, which grows along the
// list as text does, `shown` makes a row.
template <class Item, class PlaceOf, class Shown>
Response page(const Request& request, std::string_view kind, const std::vector<Item>& items,
              PlaceOf place_of, Shown shown, std::size_t by_default = storage::kDefaultLimit) {
    const std::size_t limit = storage::limit_of(request, by_default);
    const std::string after = storage::after_of(request, kind);
    Array rows;
    std::string last;
    Object body = object();
    Poco::Dynamic::Var next;
    for (const Item& item : items) {
        const std::string& place = place_of(item);
        if (!after.empty() && place <= after) continue;
        if (rows.size() == limit) {
            next = storage::encode_cursor(kind, last);
            break;
        }
        rows.add(shown(item));
        last = place;
    }
    body.set("items", rows);
    body.set("next", next);
    return json(body);
}

}  // namespace larder::admin
