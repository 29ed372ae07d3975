# power.pl: power loss. Reads strace's log of a save (init over an older file) and reconstructs, for
# every point in it, every state of the disk that a power cut could leave: what was not synced (4
# KiB blocks of a file, names in a directory) may be present, missing, or torn.
#   perl power.pl LOG OLD NEW OUT       writes each distinct state to OUT/N.h5 (no file: OUT/N.absent)
use strict; use warnings;
my ($log, $old, $new, $out) = @ARGV;
sub slurp { open my $f, '<:raw', $_[0] or die "$_[0]: $!"; local $/; <$f> }
my ($before, $after) = (slurp($old), slurp($new));
# The operations on the temporary file: write SIZE, sync, rename, sync of the directory.
my (@ops, %fd, $tmp);
open my $in, '<', $log or die;
while (<$in>) {
    s/^\d+\s+//;
    if (/^openat\(.*"([^"]*)", (\S+?)(?:, \d+)?\)\s+= (\d+)/) {
        my ($path, $flags, $n) = ($1, $2, $3);
        $fd{$n} = $path =~ /\.tmp$/ ? "tmp" : $flags =~ /O_DIRECTORY/ ? "dir" : "other";
        push @ops, ["create"] if $fd{$n} eq "tmp";
    }
    elsif (/^write\((\d+),.*= (\d+)$/ && ($fd{$1} // '') eq 'tmp') { push @ops, ['write', $2] }
    elsif (/^pwrite64\((\d+),.*= (\d+)$/ && ($fd{$1} // '') eq 'tmp') { push @ops, ['write', $2] }
    elsif (/^f(?:data)?sync\((\d+)\)\s+= 0/ && $fd{$1} && $fd{$1} ne 'other') { push @ops, ["sync-$fd{$1}"] }
    elsif (/^rename(?:at2?)?\(.*= 0/) { push @ops, ['rename'] }
    elsif (/^close\((\d+)\)/) { delete $fd{$1} }
}
die "no save in the log\n" unless grep { $_->[0] eq 'rename' } @ops;
my (%seen, $n, $tried) ; $n = $tried = 0;
sub state_of { my $s = shift; $tried++; return if $seen{defined $s ? $s : 'absent'}++;
    my $name = "$out/" . $n++; if (!defined $s) { open my $f, '>', "$name.absent" } else { open my $f, '>:raw', "$name.h5"; print $f $s } }
srand 1;
for my $end (0 .. @ops) {
    my ($written, $synced, $renamed, $named) = (0, 0, 0, 0);
    for my $o (@ops[0 .. $end - 1]) {
        $written += $o->[1] if $o->[0] eq 'write'; $synced = $written if $o->[0] eq 'sync-tmp';
        $renamed = 1 if $o->[0] eq 'rename'; $named = $renamed if $o->[0] eq 'sync-dir';
    }
    for my $name ($named ? 1 : $renamed ? (0, 1) : 0) { # whether the new name may be on the disk
        if (!$name) { state_of($before); next }
        my $blocks = int(($written + 4095) / 4096);
        my @free = grep { ($_ + 1) * 4096 > $synced } 0 .. $blocks - 1;
        @free = () if $synced >= $written;
        # Every subset of up to 10 unsynced blocks; of more: none, all, each alone, each missing,
        # and 500 at random. Dropped or torn.
        my @subsets = @free <= 10 ? (0 .. 2 ** @free - 1) : (0, map({ 'one' . $_ } 0 .. $#free), map({ 'not' . $_ } 0 .. $#free), map({ 'chance' } 1 .. 500));
        for my $s (@subsets) { for my $torn (0, 1) { for my $short (0, 1) {
            my $f = substr($after, 0, $written);
            for my $i (0 .. $#free) {
                my $drop = $s eq 'chance' ? rand() < .5 : $s =~ /^one(\d+)/ ? $1 == $i : $s =~ /^not(\d+)/ ? $1 != $i : $s >> $i & 1;
                next unless $drop;
                my $at = $free[$i] * 4096 + ($torn ? 2048 : 0); my $len = ($free[$i] + 1) * 4096 - $at;
                $len = length($f) - $at if $at + $len > length $f;
                substr($f, $at, $len) = "\0" x $len if $len > 0;
            }
            $f = substr($f, 0, $free[0] * 4096) if $short && @free && $s ne '0';
            state_of($f);
        } } }
    }
}
print scalar(@ops), " operations, $tried disks, $n distinct\n";
