// Text parts leave in as few writev as they fit, files by sendfile; a generator's chunks queue as
// blocks with their framing between them.
#include "http/outgoing.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include <fmt/format.h>

namespace larder::http {

namespace {

constexpr std::size_t kAhead = 256U << 10U;     // made by a generator, not yet taken by the socket
constexpr std::size_t kSmallFile = 16U << 10U;  // read and sent with the head in one call
constexpr std::size_t kTurn = 4U << 20U;        // then the other connections get theirs
constexpr std::size_t kVectors = 64;

}  // namespace

// ---- generators

// What a worker runs. If the pool drops it unrun, the reactor must still hear, or the answer would
// hang until the drain.
class GeneratorFeed::Pull {
public:
    Pull(std::shared_ptr<GeneratorFeed> feed, std::shared_ptr<Reactor> reactor,
         std::shared_ptr<Mailed> to, std::uint64_t what)
        : feed_(std::move(feed)), reactor_(std::move(reactor)), to_(std::move(to)), what_(what) {}
    Pull(Pull&&) noexcept = default;
    Pull(const Pull&) = delete;
    Pull& operator=(const Pull&) = delete;
    Pull& operator=(Pull&&) = delete;
    ~Pull() {
        if (feed_) finish(Outcome::failed);
    }

    void operator()() {
        Outcome outcome = Outcome::failed;
        try {
            outcome = feed_->generator_(feed_->chunk_) ? Outcome::chunk : Outcome::last;
        } catch (const std::exception& error) {
            reactor_->log(Level::error,
                          fmt::format("a generator threw, its answer is cut: {}", error.what()));
        } catch (...) {
            reactor_->log(
                Level::error,
                "a generator threw something that is no std::exception, its answer is cut");
        }
        finish(outcome);
    }

private:
    void finish(Outcome outcome) noexcept {
        feed_->outcome_ = outcome;
        feed_.reset();
        reactor_->mail(std::move(to_), what_);
    }

    std::shared_ptr<GeneratorFeed> feed_;
    std::shared_ptr<Reactor> reactor_;
    std::shared_ptr<Mailed> to_;
    std::uint64_t what_;
};

bool GeneratorFeed::pull(Reactor& reactor, std::shared_ptr<Mailed> to, std::uint64_t what) {
    outcome_ = Outcome::none;
    chunk_.clear();
    pulling_ = reactor.environment().post(
        Task(Pull(shared_from_this(), reactor.shared_from_this(), std::move(to), what)));
    // Refused: the unrun pull has set its outcome and posted a stray letter on its way out.
    if (!pulling_) outcome_ = Outcome::none;
    return pulling_;
}

GeneratorFeed::Outcome GeneratorFeed::collect(std::string& chunk) noexcept {
    if (!pulling_) return Outcome::none;
    pulling_ = false;
    chunk = std::move(chunk_);
    return std::exchange(outcome_, Outcome::none);
}

// ---- the answer

struct Outgoing::Gathered {
    std::array<iovec, kVectors> parts;
    std::size_t count = 0;
    bool file_follows = false;

    bool add(std::string_view text) noexcept {
        if (count == parts.size()) return false;
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): iovec knows no const
        if (!text.empty()) parts[count++] = {const_cast<char*>(text.data()), text.size()};
        return true;
    }
};

bool Outgoing::length_of(const Response& response, std::uint64_t& length) noexcept {
    length = 0;
    if (const auto* text = std::get_if<std::string>(&response.body)) length = text->size();
    if (const auto* bytes = std::get_if<SharedBytes>(&response.body)) length = bytes->bytes.size();
    if (const auto* region = std::get_if<FileRegion>(&response.body)) length = region->length;
    if (const auto* segments = std::get_if<Segments>(&response.body)) {
        for (const auto& segment : *segments) {
            const auto* text = std::get_if<std::string>(&segment);
            if (text != nullptr) length += text->size();
            if (const auto* part = std::get_if<FileRegion>(&segment)) length += part->length;
        }
    }
    return !std::holds_alternative<Generator>(response.body);
}

void Outgoing::start(Response&& response, Framing framing, bool bodyless) {
    response_ = std::move(response);
    framing_ = framing;
    head_at_ = 0;
    begun_ = feed_ended_ = false;
    part_ = 0;
    at_ = body_sent_ = 0;
    if (bodyless) response_.body = std::monostate{};
    parts_ = std::holds_alternative<std::monostate>(response_.body) ? 0 : 1;
    if (const auto* segments = std::get_if<Segments>(&response_.body)) parts_ = segments->size();
    if (auto* generator = std::get_if<Generator>(&response_.body)) {
        parts_ = 0;
        feed_ = std::make_shared<GeneratorFeed>(std::move(*generator));
        response_.body = std::monostate{};
    }
    const auto* region = std::get_if<FileRegion>(&response_.body);
    if (region == nullptr || region->length > kSmallFile || region->file == nullptr) return;
    std::string text(static_cast<std::size_t>(region->length), '\0');
    const ssize_t got =
        ::pread(region->file->fd(), text.data(), text.size(), static_cast<off_t>(region->offset));
    // A shorter file stays a region; sending it meets its end and cuts the connection.
    if (got == static_cast<ssize_t>(text.size())) response_.body = std::move(text);
}

void Outgoing::reset() {
    response_.body = std::monostate{};
    response_.headers.clear();
    response_.sent = nullptr;
    feed_.reset();
    blocks_.clear();
    block_at_ = queued_ = 0;
    parts_ = part_ = 0;
    head_.clear();
    if (head_.capacity() > 4096) head_.shrink_to_fit();
    head_at_ = 0;
}

std::string_view Outgoing::text_part(std::size_t index) const noexcept {
    if (const auto* text = std::get_if<std::string>(&response_.body)) return *text;
    if (const auto* bytes = std::get_if<SharedBytes>(&response_.body)) return bytes->bytes;
    const auto* segments = std::get_if<Segments>(&response_.body);
    return std::get<std::string>((*segments)[index]);
}

const FileRegion* Outgoing::file_part(std::size_t index) const noexcept {
    if (const auto* region = std::get_if<FileRegion>(&response_.body)) return region;
    const auto* segments = std::get_if<Segments>(&response_.body);
    return segments == nullptr ? nullptr : std::get_if<FileRegion>(&(*segments)[index]);
}

void Outgoing::gather(Gathered& gathered) const {
    gathered.add(std::string_view(head_).substr(head_at_));
    std::uint64_t at = at_;
    for (std::size_t i = part_; i < parts_; ++i, at = 0) {
        const FileRegion* const file = file_part(i);
        if (file != nullptr && file->length == 0) continue;
        gathered.file_follows = file != nullptr;
        if (file != nullptr || !gathered.add(text_part(i).substr(at))) return;
    }
    std::size_t skip = block_at_;
    for (const Block& block : blocks_) {
        if (!gathered.add(std::string_view(block.text).substr(skip))) return;
        skip = 0;
    }
}

void Outgoing::consume(std::size_t size) noexcept {
    begun_ = begun_ || size > 0;
    const std::size_t of_head = std::min(size, head_.size() - head_at_);
    head_at_ += of_head;
    size -= of_head;
    while (size > 0 && part_ < parts_) {
        if (file_part(part_) != nullptr) {  // only an empty region can lie within what was gathered
            ++part_;
            continue;
        }
        const std::size_t left = text_part(part_).size() - static_cast<std::size_t>(at_);
        const std::size_t take = std::min(size, left);
        at_ += take;
        body_sent_ += take;
        size -= take;
        if (take == left) {
            ++part_;
            at_ = 0;
        }
    }
    while (size > 0) {
        Block& block = blocks_.front();
        const std::size_t left = block.text.size() - block_at_;
        const std::size_t take = std::min(size, left);
        block_at_ += take;
        size -= take;
        queued_ -= take;
        if (block.payload) body_sent_ += take;
        if (take < left) return;
        blocks_.pop_front();
        block_at_ = 0;
    }
}

Outgoing::Progress Outgoing::send_file(Transport& transport, const FileRegion& region,
                                       std::size_t& budget) {
    while (at_ < region.length) {
        if (budget == 0) return Progress::blocked;
        const Written written =
            transport.send_file(region.file->fd(), region.offset + at_, region.length - at_);
        if (written.state == Written::State::blocked) return Progress::blocked;
        if (written.state == Written::State::failed || written.size == 0) return Progress::failed;
        at_ += written.size;
        body_sent_ += written.size;
        budget -= std::min(budget, written.size);
    }
    ++part_;
    at_ = 0;
    return Progress::done;
}

Outgoing::Progress Outgoing::advance(Transport& transport) {
    std::size_t budget = kTurn;
    for (;;) {
        Gathered gathered;
        gather(gathered);
        if (gathered.count > 0) {
            if (budget == 0) return Progress::blocked;
            const Written written =
                transport.write({gathered.parts.data(), gathered.count}, gathered.file_follows);
            if (written.state == Written::State::blocked) return Progress::blocked;
            if (written.state == Written::State::failed) return Progress::failed;
            consume(written.size);
            budget -= std::min(budget, written.size);
            continue;
        }
        while (part_ < parts_ && file_part(part_) == nullptr) ++part_;  // empty text
        if (part_ < parts_) {
            const FileRegion* const file = file_part(part_);
            if (file->file == nullptr && file->length > 0) return Progress::failed;
            const Progress progress = send_file(transport, *file, budget);
            if (progress != Progress::done) return progress;
            continue;
        }
        return feed_ && !feed_ended_ ? Progress::starved : Progress::done;
    }
}

bool Outgoing::hungry() const noexcept {
    return feed_ && !feed_ended_ && !feed_->pulling() && queued_ < kAhead;
}

void Outgoing::add_chunk(std::string&& chunk, bool last) {
    feed_ended_ = last;
    const auto add = [this](std::string&& text, bool payload) {
        queued_ += text.size();
        blocks_.push_back({std::move(text), payload});
    };
    const bool chunked = framing_ == Framing::chunked;
    if (!chunk.empty()) {
        std::string size;
        if (chunked) append_chunk_size(size, chunk.size());
        if (chunked) add(std::move(size), false);
        add(std::move(chunk), true);
        if (chunked) add("\r\n", false);
    }
    if (last && chunked) add("0\r\n\r\n", false);
}

}  // namespace larder::http
