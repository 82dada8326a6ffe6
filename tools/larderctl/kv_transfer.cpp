#include "kv_transfer.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "member_splitter.hpp"
#include "storage-kit/json.hpp"

namespace larder::ctl {
namespace {

constexpr std::size_t kLongestMember = 80U << 20U;  // a value holds 64 MiB at most
constexpr std::size_t kBatchKeys = 1000;            // as many as one transaction takes
constexpr std::size_t kBatchBytes = 512U << 10U;
constexpr int kSilence = 120;  // seconds

// Gathers keys into transactions; a value too large for one goes by itself.
class Importer {
public:
    Importer(const Client& client, const std::string& bucket)
        : client_(client), path_("/api/kv/" + escaped(bucket)) {}

    void take(std::string_view name, std::string_view value) {
        std::string key, text;
        try {
            key = storage::json::compact(name);
            text = storage::json::compact(value);
        } catch (const storage::json::InvalidJson& error) {
            throw std::runtime_error(
                fmt::format("the member {} is no JSON: {}", name.substr(0, 80), error.what()));
        }
        if (text.size() > kBatchBytes) {
            flush();
            client_.demand("PUT", path_ + "/" + escaped(storage::json::unquoted(key)), text);
            ++imported_;
            return;
        }
        if (count_ == kBatchKeys || ops_.size() + text.size() > kBatchBytes) flush();
        ops_ += fmt::format(R"({}{{"op":"set","key":{},"value":{}}})", count_ == 0 ? "" : ",", key,
                            text);
        ++count_;
    }
    void flush() {
        if (count_ == 0) return;
        client_.demand("POST", path_, fmt::format(R"({{"ops":[{}]}})", ops_));
        imported_ += count_;
        count_ = 0;
        ops_.clear();
    }
    std::size_t imported() const noexcept { return imported_; }

private:
    const Client& client_;
    const std::string path_;
    std::string ops_;
    std::size_t count_ = 0, imported_ = 0;
};

void read_into(std::istream& in, MemberSplitter& splitter) {
    std::array<char, 65536> bytes{};
    while (in.read(bytes.data(), bytes.size()) || in.gcount() > 0) {
        splitter.feed({bytes.data(), static_cast<std::size_t>(in.gcount())});
    }
    if (in.bad()) throw std::runtime_error(fmt::format("it cannot be read: {}", strerror(errno)));
    if (!splitter.is_whole()) throw std::runtime_error("it ends before its object does");
}

}  // namespace

int import_bucket(Context& context) {
    const std::string& file = context.words.arguments[1];
    std::ifstream opened;
    if (file != "-") {
        opened.open(file, std::ios::binary);
        if (!opened) throw LocalError(fmt::format("{} cannot be read: {}", file, strerror(errno)));
    }
    const Client client = context.client();
    Importer importer(client, context.words.arguments[0]);
    const auto so_far = [&] {
        return fmt::format("{} keys were imported before; the import may be run again",
                           importer.imported());
    };
    try {
        MemberSplitter splitter(
            [&](std::string_view name, std::string_view value) { importer.take(name, value); },
            kLongestMember);
        read_into(file == "-" ? std::cin : opened, splitter);
        importer.flush();
    } catch (const std::runtime_error& error) {
        throw LocalError(fmt::format("{}: {}; {}", file, error.what(), so_far()));
    } catch (const std::exception&) {
        std::cerr << "larderctl: " << so_far() << '\n';
        throw;
    }
    std::cout << importer.imported() << " keys imported\n";
    return kOk;
}

int export_bucket(Context& context) {
    const bool to_file = context.words.arguments.size() > 1 && context.words.arguments[1] != "-";
    const std::string file = to_file ? context.words.arguments[1] : "-";
    const std::string beside = file + ".part";  // so that FILE is whole, or what it was
    std::ofstream opened;
    if (to_file) {
        opened.open(beside, std::ios::binary | std::ios::trunc);
        if (!opened)
            throw LocalError(fmt::format("{} cannot be written: {}", beside, strerror(errno)));
    }
    std::ostream& out = to_file ? opened : std::cout;
    std::size_t count = 0;
    MemberSplitter splitter([&count](std::string_view, std::string_view) { ++count; },
                            kLongestMember);
    try {
        context.client().stream("/api/kv/" + escaped(context.words.arguments[0]) + "?all=true", {},
                                kSilence, [&](std::string_view text) {
                                    splitter.feed(text);
                                    out.write(text.data(),
                                              static_cast<std::streamsize>(text.size()));
                                    return static_cast<bool>(out);
                                });
        if (out && !splitter.is_whole()) {
            throw Unreachable("the answer was cut before its end; see larderd's log, try again");
        }
        out.flush();
        if (!out) throw LocalError(fmt::format("{} cannot be written: {}", file, strerror(errno)));
        if (to_file) {
            opened.close();
            std::filesystem::rename(beside, file);
        } else {
            out << '\n';
        }
    } catch (const std::runtime_error& error) {
        if (to_file) std::filesystem::remove(beside);
        throw LocalError(fmt::format("{}: {}", file, error.what()));
    } catch (const std::exception&) {
        if (to_file) std::filesystem::remove(beside);
        throw;
    }
    if (to_file) std::cout << count << " keys exported to " << file << '\n';
    return kOk;
}

}  // namespace larder::ctl
