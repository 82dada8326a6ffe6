// A plugin that does what its id says: misbehaves in one way, or not at all. One library is built
// of it; tests make the others by writing another id, prefix or claim into a copy of the file, as
// support/test_plugin.hpp does. Not an example to follow: that is plugins/kv.
//
// Contents: what a copy overwrites · behaviours · the routes · the plugin · its entry.
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "larder/export.hpp"

// Not static and not const, or the compiler would reckon with what stands in them here.
namespace larder_test_plugin {
char id[32] = "patched_id";                 // NOLINT(misc-definitions-in-headers)
char prefixes[64] = "/api/patched_prefix";  // as are the next two
char claims[64] = "patched_claim/";
char tripwire[32] = "patched_tripwire";
}  // namespace larder_test_plugin

namespace {

using namespace larder;

// A constructor that the loader runs: a refused file must never get here.
const struct Tripwire {
    Tripwire() {
        // Volatile: nothing else has run yet, so the compiler knows what the array holds.
        const char* volatile const wire = larder_test_plugin::tripwire;
        if (std::string_view(wire) == "trip") std::abort();
    }
} kTripwire;

bool is(std::string_view behaviour) { return larder_test_plugin::id == behaviour; }

[[noreturn]] void hang() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

void misbehave(std::string_view where) {
    if (is("throws_in_" + std::string(where))) throw std::runtime_error("it broke");
    if (is("hangs_in_" + std::string(where))) hang();
}

// What outlives the plugin's object, by a mistake that plugins make.
struct Kept {
    std::mutex mutex;
    std::vector<Reply> replies;                         // guarded by mutex
    std::vector<std::shared_ptr<EventStream>> streams;  // guarded by mutex
};
Kept& kept() {
    static Kept kept;
    return kept;
}

const std::string& path(const std::string& name) {
    static std::mutex mutex;
    static std::vector<std::unique_ptr<std::string>> all;
    const std::scoped_lock lock(mutex);
    const std::string prefix = larder_test_plugin::prefixes;
    all.push_back(std::make_unique<std::string>(prefix.substr(0, prefix.find(',')) + name));
    return *all.back();
}

Response text(std::string body) {
    return {200, {{"Content-Type", "text/plain"}}, std::move(body), {}};
}

class Hole final : public Upload {
public:
    void take(std::span<const std::byte> bytes) override { size_ += bytes.size(); }
    Response finish(const Headers& /*trailers*/) override { return text(std::to_string(size_)); }
    void abort() noexcept override {}

private:
    std::size_t size_ = 0;
};

class BadPlugin final : public Plugin, public Reloadable {
public:
    explicit BadPlugin(Host& host) : host_(host) { misbehave("create"); }

    void configure(const Settings& /*settings*/) override { misbehave("configure"); }

    void start(Routes& routes) override {
        misbehave("start");
        if (is("throws_a_number")) throw 42;  // NOLINT(hicpp-exception-baseclass): that is it
        if (is("misses_a_service") && host_.services().lease("nothing/1") == nullptr) {
            throw Error(Errc::unavailable, "service-missing",
                        "it needs service nothing/1; enable the plugin that offers it");
        }
        if (is("repeats_a_route")) declare(routes);
        if (is("offers")) host_.services().offer("thing/1", &offered_);
        greeting_ = host_.settings().text("greeting");
        if (is("leaks_a_thread")) std::thread([] { hang(); }).detach();
        declare(routes);
    }

    void drain() noexcept override {
        if (is("hangs_in_drain")) hang();
    }
    void stop() noexcept override {
        if (is("hangs_in_stop")) hang();
        lease_.reset();
    }

    void* extension(std::string_view id) noexcept override {
        return id == kReloadable ? static_cast<Reloadable*>(this) : nullptr;
    }
    void reload(const Settings& now) override {
        if (now.text("greeting") == "hang") hang();
        if (now.text("greeting") == "bad") {
            throw Error(Errc::unprocessable, "bad-greeting", "'bad' is no greeting");
        }
        const std::scoped_lock lock(mutex_);
        greeting_ = now.text("greeting");
    }

private:
    void declare(Routes& routes) {
        const auto get = [](const std::string& name) {
            return Route{Method::get, path(name), Permission::read, "", "", "", "", 1U << 20U, ""};
        };
        routes.prompt(get("/hello"), [this](const Request&, Reply reply) {
            if (is("hangs_in_prompt")) hang();
            const std::scoped_lock lock(mutex_);
            std::move(reply).send(text(greeting_ + " " + host_.settings().text("name")));
        });
        routes.prompt(get("/park"), [](const Request&, Reply reply) {
            const std::scoped_lock lock(kept().mutex);
            kept().replies.push_back(std::move(reply));
        });
        // How many Replies are parked and how many calls of /wait were begun.
        routes.prompt(get("/under_way"), [this](const Request&, Reply reply) {
            const std::scoped_lock lock(kept().mutex);
            std::move(reply).send(
                text(std::to_string(kept().replies.size()) + " " + std::to_string(waiting_)));
        });
        routes.prompt(get("/unpark"), [](const Request&, Reply reply) {
            const std::scoped_lock lock(kept().mutex);
            const std::size_t count = kept().replies.size();
            for (Reply& parked : kept().replies) std::move(parked).send(text("late"));
            kept().replies.clear();
            for (const auto& stream : kept().streams) {
                if (stream->send(std::make_shared<std::string>("data: late\n\n")) !=
                    EventStream::Sent::closed) {
                    throw std::logic_error("a stream of a former life took an event");
                }
            }
            kept().streams.clear();
            std::move(reply).send(text(std::to_string(count)));
        });
        routes.prompt(get("/stream"), [](const Request&, Reply reply) {
            auto stream = std::move(reply).stream({});
            stream->send(std::make_shared<std::string>("data: first\n\n"));
            const std::scoped_lock lock(kept().mutex);
            kept().streams.push_back(std::move(stream));
        });
        routes.blocking(get("/work"), [this](const Request& request) { return work(request); });
        routes.blocking(get("/fail"), [](const Request&) -> Response {
            throw Error(Errc::conflict, "says-no", "it was asked to");
        });
        routes.blocking(get("/wait"), [this](const Request& request) {
            const auto cancel = request.cancel();
            ++waiting_;
            while (!cancel->cancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return text("cancelled " + std::string(request.target()));
        });
        routes.blocking(get("/endless"), [](const Request&) {
            return Response{200,
                            {},
                            Generator([](std::string& chunk) {
                                chunk.assign(65536, 'x');
                                return true;
                            }),
                            {}};
        });
        routes.blocking(get("/lease"), [this](const Request&) {
            lease_ = host_.services().lease("thing/1");
            return text(lease_ != nullptr ? "held" : "none");
        });
        Route upload = get("/upload");
        upload.method = Method::put;
        upload.media_types = "*/*";
        upload.max_body = 1U << 30U;
        routes.upload(upload, [](const Request&, const std::shared_ptr<Cancel>&) {
            return std::make_unique<Hole>();
        });
    }

    Response work(const Request& request) {
        misbehave("handler");
        if (is("throws_a_number_in_handler")) throw 42;  // NOLINT(hicpp-exception-baseclass)
        const std::string id(request.id());
        if (!host_.workers().post([] { misbehave("task"); })) return text("busy");
        return text("done " + id);
    }

    Host& host_;
    std::mutex mutex_;
    std::string greeting_;  // guarded by mutex_
    int offered_ = 0;
    std::atomic<int> waiting_{0};  // calls of /wait that were begun
    std::shared_ptr<void> lease_;
};

constinit const std::array<Setting, 2> kSettings = {{
    {"greeting", "text", "hello", nullptr, nullptr, "What it says.", true, false},
    {"name", "text", "you", nullptr, nullptr, "To whom it says that.", false, false},
}};

constinit const PluginEntry kEntry = {
    larder_test_plugin::id,
    "1.0",
    "does what its id says",
    larder_test_plugin::prefixes,
    larder_test_plugin::claims,
    kSettings.data(),
    kSettings.size(),
    [](Host& host) -> Plugin* { return new BadPlugin(host); },
    [](Plugin* plugin) noexcept { delete static_cast<BadPlugin*>(plugin); },
};

}  // namespace

LARDER_PLUGIN(kEntry)
