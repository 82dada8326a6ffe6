// Makes ZIP archives for tests: good ones, and ones with a lie at any place. Not a packer for
// anything else.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace larder::test {

struct ZipMember {
    std::string name, bytes;
    bool deflated = true;
    std::uint32_t attributes = 0100644U << 16U;  // of a Unix
    std::uint16_t flags = 0;
    std::optional<std::uint32_t> said_size, said_crc, at;  // what the directory says instead
    std::optional<std::string> local_name;
    std::uint16_t method = 8;
};

class ZipMaker {
public:
    ZipMaker& add(ZipMember member) {
        const std::uint16_t method = member.deflated ? member.method : 0;
        const std::string packed = member.deflated ? deflated(member.bytes) : member.bytes;
        const std::uint32_t crc = member.said_crc.value_or(static_cast<std::uint32_t>(
            ::crc32(0, reinterpret_cast<const Bytef*>(member.bytes.data()),
                    static_cast<uInt>(member.bytes.size()))));
        const auto size =
            member.said_size.value_or(static_cast<std::uint32_t>(member.bytes.size()));
        const auto at = member.at.value_or(static_cast<std::uint32_t>(text_.size()));
        const std::string local = member.local_name.value_or(member.name);
        if (!member.at) {
            put(text_, 0x04034B50, 4);
            common(text_, member.flags, method, crc, packed.size(), size, local.size());
            text_ += local + packed;
        }
        put(directory_, 0x02014B50, 4);
        put(directory_, 3U << 8U | 20U, 2);  // made by a Unix
        common(directory_, member.flags, method, crc, packed.size(), size, member.name.size());
        put(directory_, 0, 2 + 2 + 2);  // comment, disk, kind
        put(directory_, member.attributes, 4);
        put(directory_, at, 4);
        directory_ += member.name;
        ++count_;
        return *this;
    }
    ZipMaker& add(const std::string& name, const std::string& bytes) {
        ZipMember member;
        member.name = name;
        member.bytes = bytes;
        return add(std::move(member));
    }

    std::string archive() const {
        std::string text = text_ + directory_;
        put(text, 0x06054B50, 4);
        put(text, 0, 4);
        put(text, count_, 2);
        put(text, count_, 2);
        put(text, directory_.size(), 4);
        put(text, text_.size(), 4);
        put(text, 0, 2);
        return text;
    }

private:
    static void put(std::string& text, std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 0xFFU);
    }
    static void common(std::string& text, std::uint16_t flags, std::uint16_t method,
                       std::uint32_t crc, std::size_t packed, std::uint32_t size,
                       std::size_t name) {
        put(text, 20, 2);
        put(text, flags, 2);
        put(text, method, 2);
        put(text, 0, 4);  // time
        put(text, crc, 4);
        put(text, packed, 4);
        put(text, size, 4);
        put(text, name, 2);
        put(text, 0, 2);
    }
    static std::string deflated(const std::string& bytes) {
        z_stream stream{};
        ::deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
        std::string packed(::deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
        std::string in = bytes;
        stream.next_in = reinterpret_cast<Bytef*>(in.data());
        stream.avail_in = static_cast<uInt>(in.size());
        stream.next_out = reinterpret_cast<Bytef*>(packed.data());
        stream.avail_out = static_cast<uInt>(packed.size());
        ::deflate(&stream, Z_FINISH);
        packed.resize(stream.total_out);
        ::deflateEnd(&stream);
        return packed;
    }

    std::string text_, directory_;
    std::uint64_t count_ = 0;
};

}  // namespace larder::test
