// The parts of backups that need no daemon: paths, manifests, retention, gzip in blocks, the
// cipher.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "backup_archive.hpp"
#include "backup_cipher.hpp"
#include "backup_gzip.hpp"
#include "backup_manifest.hpp"
#include "backup_paths.hpp"
#include "backup_reader.hpp"
#include "backup_retention.hpp"
#include "larder/error.hpp"
#include "support/command.hpp"
#include "support/suite.hpp"
#include "support/temporary_folder.hpp"

namespace larder::backup {
namespace {

using test::read_file;
using test::run;
using test::TemporaryFolder;
using test::write_file;

Record record_at(int day, bool is_verified, const std::string& parent = {}) {
    Record record;
    record.created_ms = std::int64_t{day} * 86'400'000;
    record.backup_id = backup_id_at(record.created_ms);
    record.verified_ms = is_verified ? record.created_ms : 0;
    record.parent = parent;
    return record;
}

std::string kept(const std::vector<Record>& records, const Keep& keep) {
    std::string marks;
    for (const Decision& decision : decide(records, keep)) marks += decision.keep ? 'k' : '-';
    std::reverse(marks.begin(), marks.end());
    return marks;  // oldest first
}

std::string sealed(const Secret& secret, const std::string& plain) {
    std::string out;
    Sealer sealer(secret, [&](std::string_view bytes) { out += bytes; });
    sealer.write(plain);
    sealer.finish();
    return out;
}

// What comes out, or the slug of the refusal.
std::string opened(const Secret& secret, const std::string& bytes) {
    std::string_view left = bytes;
    try {
        Opener opener(secret, [&](std::span<char> into) {
            const std::size_t part = left.copy(into.data(), into.size());
            left.remove_prefix(part);
            return part;
        });
        std::string out, piece(100'000, '\0');
        while (const std::size_t got = opener.read(piece)) out.append(piece, 0, got);
        return out;
    } catch (const Error& error) {
        return error.slug();
    }
}

std::string random_bytes(std::size_t count) {
    std::mt19937 chance(1);
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(chance());
    return bytes;
}

std::string gzipped(const std::string& plain) {
    std::string out;
    GzipWriter gzip(2, [&](std::string_view bytes) { out += bytes; });
    for (std::size_t at = 0; at < plain.size(); at += 100'001) {
        gzip.write(std::string_view(plain).substr(at, 100'001));
    }
    gzip.finish();
    return out;
}

class BackupPartsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(BackupPartsTest);
    CPPUNIT_TEST(paths_stay_inside);
    CPPUNIT_TEST(databases_stand_apart);
    CPPUNIT_TEST(ids_are_of_their_time);
    CPPUNIT_TEST(manifests_come_back);
    CPPUNIT_TEST(manifests_that_are_none);
    CPPUNIT_TEST(keeps_by_count_and_by_time);
    CPPUNIT_TEST(never_drops_the_newest_verified);
    CPPUNIT_TEST(gunzip_reads_what_is_packed);
    CPPUNIT_TEST(the_cipher_gives_back_what_it_took);
    CPPUNIT_TEST(the_cipher_lets_nothing_be_changed);
    CPPUNIT_TEST(archives_come_back);
    CPPUNIT_TEST_SUITE_END();

public:
    void paths_stay_inside() {
        for (const char* path : {"a", "a/b", "files/x y", "kv/a.json.meta", "a..b", "-x"}) {
            CPPUNIT_ASSERT_MESSAGE(path, is_inner_path(path));
        }
        for (const std::string& path :
             {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"),
              std::string(".."), std::string("a/../b"), std::string("./a"), std::string("a\nb"),
              std::string("a\0b", 3), std::string("a\\b"), std::string(256, 'a')}) {
            CPPUNIT_ASSERT_MESSAGE(path, !is_inner_path(path));
        }
    }

    void databases_stand_apart() {
        CPPUNIT_ASSERT_EQUAL(std::string("db/m.db"), archived_path("programs/db/m.db"));
        CPPUNIT_ASSERT_EQUAL(std::string("programs/db/m.db"), data_path("db/m.db"));
        CPPUNIT_ASSERT_EQUAL(std::string("programs/p.json"), archived_path("programs/p.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("storage.json"), component_of("storage.json.meta"));
        CPPUNIT_ASSERT_EQUAL(std::string("kv"), component_of("kv/a.json.meta"));
        CPPUNIT_ASSERT(is_own_json("kv/a.json") && !is_own_json("files/a.json"));
        CPPUNIT_ASSERT(is_database("db/a.db") && !is_database("files/a.db"));
    }

    void ids_are_of_their_time() {
        CPPUNIT_ASSERT_EQUAL(std::string("backup_1970-01-02_000001"), backup_id_at(86'401'000));
        for (const char* id : {"backup_2024-01-01_120000", "backup_2024-01-01_120000-12"}) {
            CPPUNIT_ASSERT_MESSAGE(id, is_backup_id(id));
        }
        for (const char* id : {"", "latest", "backup_2024-01-01_12000", "backup_2024-01-01_120000-",
                               "backup_2024-01-01_120000x", "backup_2024-01-01_120000-1/.."}) {
            CPPUNIT_ASSERT_MESSAGE(id, !is_backup_id(id));
        }
    }

    void manifests_come_back() {
        const Manifest read = read_manifest(example().json());
        CPPUNIT_ASSERT_EQUAL(example().json(), read.json());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{12}, read.total_size());
        // Of "a NUL 5 NUL <zeros> LF" and "b NUL 7 NUL <ones> LF", by another program.
        CPPUNIT_ASSERT_EQUAL(
            std::string("1696387328f0d1eb86468c1744d7485233d7310f86b0353e9af5442008f13e52"),
            read.checksum());
    }

    void manifests_that_are_none() {
        const auto slug_of = [](const std::string& text) -> std::string {
            try {
                read_manifest(text);
                return "read";
            } catch (const Error& error) {
                return error.slug();
            }
        };
        std::string text = example().json();
        CPPUNIT_ASSERT_EQUAL(std::string("read"), slug_of(text));
        for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
                 {"\"size\":5", "\"size\":6"},
                 {"\"path\":\"a\"", "\"path\":\"../a\""},
                 {"\"path\":\"b\"", "\"path\":\"a\""},
                 {"backup_2024", "backup_x024"},
                 {"}", ""},
                 {"\"files\":[", "\"files\":7,\"x\":["}}) {
            std::string changed = text;
            changed.replace(changed.find(from), from.size(), to);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(from, std::string("manifest"), slug_of(changed));
        }
    }

    void keeps_by_count_and_by_time() {
        std::vector<Record> records;
        for (int day = 0; day < 40; ++day) records.push_back(record_at(day, true));
        CPPUNIT_ASSERT_EQUAL(std::string(37, '-') + "kkk", kept(records, {3, 0, 0, 0}));
        CPPUNIT_ASSERT_EQUAL(std::string(38, '-') + "kk", kept(records, {0, 2, 0, 0}));
        // 1970-01-01 was a Thursday, so Sundays are days 3, 10, 17, 24, 31, 38; the newest is 39.
        CPPUNIT_ASSERT_EQUAL(std::string("-------------------------------k------kk"),
                             kept(records, {0, 0, 3, 0}));
        CPPUNIT_ASSERT_EQUAL(std::string("------------------------------k--------k"),
                             kept(records, {0, 0, 0, 2}));
        records[39].parent = records[20].backup_id;
        CPPUNIT_ASSERT_EQUAL(std::string("--------------------k------------------k"),
                             kept(records, {1, 0, 0, 0}));
        // By a clock that was set back the parent is the newer one.
        std::vector<Record> back = {record_at(1, true), record_at(2, false), record_at(3, false)};
        back[0].parent = back[1].backup_id;
        CPPUNIT_ASSERT_EQUAL(std::string("kk-"), kept(back, {}));
    }

    void never_drops_the_newest_verified() {
        std::vector<Record> records = {record_at(1, true), record_at(2, true), record_at(3, false),
                                       record_at(4, false)};
        CPPUNIT_ASSERT_EQUAL(std::string("-k-k"), kept(records, {1, 0, 0, 0}));
        CPPUNIT_ASSERT_EQUAL(std::string("-k--"), kept(records, {}));
        records[1].is_partial = true;
        CPPUNIT_ASSERT_EQUAL(std::string("k---"), kept(records, {}));
        records[0].verified_ms = 0;
        CPPUNIT_ASSERT_EQUAL(std::string("-k--"), kept(records, {}));
    }

    void gunzip_reads_what_is_packed() {
        const TemporaryFolder folder;
        const std::string text(3'000'000, 'x'), random = random_bytes(1'700'000);
        // The third has both in each block: the random half must not keep the other from shrinking.
        std::string mixed;
        for (int i = 0; i < 4; ++i) {
            mixed += text.substr(0, 256U << 10U) + random.substr(0, 256U << 10U);
        }
        const auto packed_size = [&](const std::string& plain) {
            const std::string packed = gzipped(plain);
            write_file(folder / "packed.gz", packed);
            const auto unpacked = run({"gzip", "-dc", folder / "packed.gz"});
            CPPUNIT_ASSERT_EQUAL(0, unpacked.exit);
            CPPUNIT_ASSERT(plain == unpacked.out);
            return packed.size();
        };
        CPPUNIT_ASSERT(packed_size(text) < text.size() / 100);
        CPPUNIT_ASSERT(packed_size(random) < random.size() + random.size() / 1000);
        CPPUNIT_ASSERT(packed_size(mixed) < mixed.size() * 51 / 100);
        packed_size("few");
    }

    void the_cipher_gives_back_what_it_took() {
        const Secret key(std::string(64, 'a')), other(std::string(64, 'b')), phrase("a phrase\n");
        CPPUNIT_ASSERT(!key.is_passphrase() && phrase.is_passphrase());
        for (const std::size_t size : {0UL, 1UL, 262'144UL, 262'145UL, 600'000UL}) {
            const std::string plain(size, 'p');
            const std::string bytes = sealed(key, plain);
            CPPUNIT_ASSERT(plain == opened(key, bytes));
            CPPUNIT_ASSERT_EQUAL(std::string("wrong-key"), opened(other, bytes));
            CPPUNIT_ASSERT_EQUAL(std::string("wrong-key"), opened(phrase, bytes));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("text"), opened(phrase, sealed(phrase, "text")));
        CPPUNIT_ASSERT(sealed(key, "same") != sealed(key, "same"));
    }

    void the_cipher_lets_nothing_be_changed() {
        const Secret key(std::string(64, 'a'));
        constexpr std::size_t kHeader = 64, kChunk = 262'144 + 16;
        const std::string whole = sealed(key, std::string(600'000, 'p'));
        const auto damaged = [&](const std::string& bytes) {
            const std::string got = opened(key, bytes);
            return got == "damaged" || got == "wrong-key";
        };
        for (std::size_t at = 0; at < whole.size(); at += at < 80 ? 1 : 9'973) {
            std::string bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ 4);
            CPPUNIT_ASSERT_MESSAGE(std::to_string(at), damaged(bytes));
        }
        CPPUNIT_ASSERT(damaged(whole.substr(0, kHeader)));
        CPPUNIT_ASSERT(damaged(whole.substr(0, kHeader + kChunk)));
        CPPUNIT_ASSERT(damaged(whole.substr(0, whole.size() - 1)));
        CPPUNIT_ASSERT(damaged(whole + "x"));
        CPPUNIT_ASSERT(damaged(whole.substr(0, kHeader) + whole.substr(kHeader + kChunk, kChunk) +
                               whole.substr(kHeader, kChunk) + whole.substr(kHeader + 2 * kChunk)));
    }

    void archives_come_back() {
        const TemporaryFolder folder;
        std::string big;  // many blocks, of what does and what does not compress
        for (std::uint32_t i = 0, x = 1; i < 3'000'000; ++i) {
            x = x * 1'664'525 + 1'013'904'223;
            big += i % 3'000'000 < 1'500'000 ? static_cast<char>(x >> 24U) : 'a';
        }
        const Secret secret("phrase");
        for (const Secret* const by : {static_cast<const Secret*>(nullptr), &secret}) {
            ArchiveWriter archive(folder / "a", by);
            const std::string long_name = std::string(200, 'n') + "/" + std::string(200, 'm');
            for (const std::string& name :
                 {std::string("empty"), std::string("\xC3\xA4"), long_name}) {
                std::string_view left = name == "empty" ? std::string_view() : big;
                archive.add(name, left.size(), 1000, [&](std::span<char> into) {
                    const std::size_t part = left.copy(into.data(), into.size());
                    left.remove_prefix(part);
                    return part;
                });
            }
            const auto result = archive.finish();
            write_file(folder / "key", "phrase");
            const Reading reading = read_archive(folder / "a", {folder / "key", {}}, nullptr);
            CPPUNIT_ASSERT_EQUAL(result.sha256, reading.archive_sha256);
            CPPUNIT_ASSERT_EQUAL(result.size, reading.archive_size);
            CPPUNIT_ASSERT_EQUAL(by != nullptr, reading.is_encrypted);
            CPPUNIT_ASSERT_EQUAL(std::size_t{3}, reading.found.size());
            CPPUNIT_ASSERT_EQUAL(std::uint64_t{big.size()}, reading.found.at("\xC3\xA4").size);
            CPPUNIT_ASSERT_EQUAL(reading.found.at("\xC3\xA4").sha256,
                                 reading.found.at(long_name).sha256);
            CPPUNIT_ASSERT_EQUAL(std::string("manifest-missing"), reading.faults.at(0).kind);
        }
    }

private:
    static Manifest example() {
        Manifest manifest;
        manifest.backup_id = "backup_2024-01-01_120000";
        manifest.created_ms = 1'704'110'400'000;
        manifest.components = {"a", "b"};
        manifest.files = {{"a", {5, std::string(64, '0'), 1000}},
                          {"b", {7, std::string(64, '1'), 0}}};
        manifest.note = "a \"note\"";
        return manifest;
    }
};

LARDER_TEST_SUITE(BackupPartsTest);

}  // namespace
}  // namespace larder::backup
