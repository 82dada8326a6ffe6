#include "watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <optional>
#include <thread>

#include "storage-kit/json.hpp"
#include "table.hpp"

namespace larder::ctl {
namespace {

constexpr int kSilence = 40;  // seconds; larderd says something every fifteen
constexpr std::chrono::seconds kLongestWait{30};

std::optional<std::uint64_t> count_of(const Context& context) {
    const auto given = context.words.value("--count");
    if (!given) return std::nullopt;
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(given->data(), given->data() + given->size(), count);
    if (error != std::errc{} || end != given->data() + given->size() || count == 0) {
        throw UsageError(fmt::format("--count wants a number from 1, got '{}'", *given));
    }
    return count;
}

void print(const StreamEvent& event, bool json) {
    if (json) {
        std::cout << fmt::format(R"({{"event":{},"id":{},"data":{}}})",
                                 storage::json::quoted(event.name), storage::json::quoted(event.id),
                                 event.data)
                  << std::endl;
        return;
    }
    std::string key, value;
    try {
        storage::json::check(event.data);
    } catch (const storage::json::InvalidJson& error) {
        throw Unreachable(fmt::format("larderd's event is no JSON: {}", error.what()));
    }
    storage::json::Walk data(event.data);
    while (data.next()) {
        if (data.name() == R"("key")") key = storage::json::unquoted(data.value());
        if (data.name() == R"("value")") value = data.value();
    }
    std::cout << event.name << ' ' << printable(key)
              << (event.name == "set" && !value.empty() ? " " + value : "") << std::endl;
}

}  // namespace

void EventReader::feed(std::string_view text) {
    for (const char c : text) {
        if (c != '\n') {
            line_ += c;
            continue;
        }
        if (line_.ends_with('\r')) line_.pop_back();
        end_line();
        line_.clear();
    }
}

void EventReader::end_line() {
    if (line_.empty()) {
        take_(event_);
        event_ = {};
        return;
    }
    const std::size_t colon = std::min(line_.find(':'), line_.size());
    const std::string field = line_.substr(0, colon);
    std::string value = colon < line_.size() ? line_.substr(colon + 1) : "";
    if (value.starts_with(' ')) value.erase(0, 1);
    if (field == "event") event_.name = value;
    if (field == "id") event_.id = value;
    if (field == "data") event_.data += (event_.data.empty() ? "" : "\n") + value;
}

int watch(Context& context) {
    auto left = count_of(context);
    std::string target = "/api/kv/" + escaped(context.words.arguments[0]) + "?watch=true";
    if (const auto prefix = context.words.value("--prefix")) {
        target += "&prefix=" + escaped(*prefix);
    }
    std::string last = context.words.value("--since").value_or("");
    bool heard = false, ever_heard = false;
    EventReader reader([&](const StreamEvent& event) {
        heard = ever_heard = true;
        if (!event.id.empty()) last = event.id;
        if (event.data.empty() || (left && *left == 0)) return;
        print(event, context.json);
        if (left) --*left;
    });
    for (std::chrono::seconds wait{1};; wait = std::min(wait * 2, kLongestWait)) {
        const Fields fields = last.empty() ? Fields{} : Fields{{"Last-Event-ID", last}};
        heard = false;
        std::string why = "larderd ended it";
        try {
            context.client().stream(target, fields, kSilence, [&](std::string_view text) {
                reader.feed(text);
                return !left || *left > 0;
            });
            if (left && *left == 0) return kOk;
        } catch (const Refused& error) {
            if (error.status() == 410) {
                std::cerr << "larderctl: the changes since " << last
                          << " are no longer kept; export the bucket, then watch without --since\n";
            }
            // Watchers are told to come back; anything else will not change by itself.
            if (error.status() != 503 || !ever_heard) throw;
            why = error.what();
        } catch (const Unreachable& error) {
            // A first connection that fails is the admin's to mend, a later one the network's.
            if (!ever_heard) throw;
            why = error.what();
        }
        if (heard) wait = std::chrono::seconds{1};
        std::cerr << fmt::format("larderctl: the stream was lost ({}); trying again in {} s\n", why,
                                 wait.count());
        reader.forget();
        std::this_thread::sleep_for(wait);
    }
}

}  // namespace larder::ctl
