"""A terminal on which a program draws: the other end of a pseudo terminal, and what its screen shows.
It knows the few control sequences that sqmqos uses, and fails at any other."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios

SEQUENCE = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


class Terminal:
    def __init__(self, columns=100, rows=30):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.slave)
        self.second = self.hidden = False  # the second screen is on; the cursor is off
        self.text = ""
        self.lines, self.row, self.column = {}, 0, 0
        os.set_blocking(self.master, False)
        asyncio.get_running_loop().add_reader(self.master, self.read)

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        try:
            data = os.read(self.master, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self.master)
        self.text += data.decode(errors="surrogateescape")
        self.draw()

    def draw(self):
        while self.text:
            c = self.text[0]
            found = SEQUENCE.match(self.text)
            if c == "\x1b" and not found:
                assert len(self.text) < 16, repr(self.text[:40])
                return  # the rest is to come
            if found:
                self.text = self.text[found.end():]
                self.obey(*found.groups())
                continue
            self.text = self.text[1:]
            if c == "\r":
                self.column = 0
            elif c == "\n":
                self.row += 1
                assert self.row < self.rows, "the screen moves up"
            else:
                assert c.isprintable(), repr(c)
                line = self.lines.get(self.row, "").ljust(self.column)
                self.lines[self.row] = line[:self.column] + c + line[self.column + 1:]
                self.column += 1
                assert self.column <= self.columns, "a line is wider than the screen"

    def obey(self, private, number, letter):
        known = (private, number, letter)
        if letter in "hl" and private:
            assert number in ("1049", "25"), known
            if number == "1049":
                self.second = letter == "h"
                self.lines, self.row, self.column = {}, 0, 0
            else:
                self.hidden = letter == "l"
        elif known == ("", "", "H"):
            self.row = self.column = 0
        elif known == ("", "", "K"):
            self.lines[self.row] = self.lines.get(self.row, "")[:self.column]
        elif known == ("", "", "J"):
            self.lines = {row: line for row, line in self.lines.items() if row <= self.row}
            self.lines[self.row] = self.lines.get(self.row, "")[:self.column]
        else:
            raise AssertionError(known)

    def screen(self):
        return "\n".join(self.lines[row] for row in sorted(self.lines))

    def type(self, text):
        os.write(self.master, text.encode())

    def given_back(self):
        """Whether all is as it was."""
        return not self.second and not self.hidden and termios.tcgetattr(self.slave) == self.before

    def close(self):
        asyncio.get_running_loop().remove_reader(self.master)
        os.close(self.master)
        os.close(self.slave)
