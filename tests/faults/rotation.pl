# rotation.pl: power loss during a run. Reads strace's log (strace -f -y -xx -s 99999999) and
# reconstructs, for every point in it, every state of the run directory that a power cut could
# leave.
#   perl rotation.pl LOG RUN OUT KEEP [EVERY]     EVERY 10: at every tenth point
# A disk guarantees only what was synced: of a file, the bytes it held when a sync began; of a
# directory, the changes of names (created, renamed, removed) before its sync began. Of later
# changes of names, any subset may be present, in any order; of later bytes, any subset of 4 KiB
# blocks, each whole or half, or nothing beyond the synced ones. Writes each distinct file content
# to OUT/files/ID, and to OUT/directories a line for each distinct state: what must be found in it
# (the step of the last finished save, -1: none; the minimum number of checkpoints; whether there
# must be a best.h5), then NAME=ID….
use strict; use warnings;
use Digest::MD5 'md5_hex';
use constant BLOCK => 4096;
my ($log, $run, $out, $keep, $every) = (@ARGV, 1);
my $parent = $run =~ s{/[^/]*$}{}r;
my $essential = qr/\.h5$|^config\.ini$|^metrics\.jsonl$/; # other files need not be found; one of their states is chosen at random

# --- the log: calls in the order in which they ended, each with how many had ended when it began
# ---
my (@calls, %half);
open my $in, '<', $log or die "$log: $!";
while (<$in>) {
    chomp;
    s/^(\d+)\s+//;
    my ($pid, $began) = ($1 // 0, scalar @calls);
    if (s/ <unfinished \.\.\.>$//) { $half{$pid} = [$_, $began]; next }
    if (s/^<\.\.\. \w+ resumed>//) { my $h = delete $half{$pid} or next; ($_, $began) = ($h->[0] . $_, $h->[1]) }
    push @calls, [$_, $began];
}
sub plain { $_[0] =~ s/\\x([0-9a-f]{2})/chr hex $1/ger }

# --- the disk ---
my (%names, @files); # what processes see: file of each name; writes of each file: {at, synced, offset, bytes} or {at, synced, cut}
my @changes;         # of names: {at, synced, directory, name, file (undef: removed)}
my %renamed;         # checkpoints whose save has not finished
my ($finished, $saves, $best, $begun) = (-1, 0, 0, 0);
sub inside { $_[0] =~ m{^\Q$run\E/([^/]+)$} ? $1 : undef }
sub change { my ($at, $directory, $name, $file) = @_; push @changes, {at => $at, synced => 0, directory => $directory, name => $name, file => $file} }
sub size_of { my $size = 0; for my $w (@{$_[0]}) { my $end = $w->{cut} // $w->{offset} + length $w->{bytes}; $size = $end if defined $w->{cut} || $end > $size } $size }
sub sync { $_->{at} < $_[0] and $_->{synced} = 1 for @{$_[1]} }

my ($points, $states, $unsynced, $sampled) = (0, 0, 0, 0);
my (%seen, %of_file);
srand 1;
for my $i (0 .. $#calls) {
    my ($text, $began) = @{$calls[$i]};
    next unless $text =~ /^(\w+)\((.*)\)\s+= (\d+)/;
    my ($call, $arguments, $result) = ($1, $2, $3);
    my @strings = map { plain($_) } $arguments =~ /"([^"]*)"/g;
    my $open = $arguments =~ /^\d+<([^>]*)>/ ? plain($1) : '';
    my $name = inside($open || $strings[0] // '');
    my $file = defined $name ? $names{$name} : undef;
    if ($call eq 'mkdir' and $strings[0] eq $run) { change($i, $parent, $run, 0) }
    elsif ($call eq 'openat' and defined $name and !defined $file and $arguments =~ /O_CREAT/) {
        push @files, [];
        change($i, $run, $name, $names{$name} = $#files);
    }
    elsif ($call =~ /^p?write/ and defined $file) {
        my $offset = $call eq 'write' ? size_of($files[$file]) : ($arguments =~ /, (\d+)$/)[0];
        push @{$files[$file]}, {at => $i, synced => 0, offset => $offset, bytes => substr($strings[-1], 0, $result)};
    }
    elsif ($call eq 'ftruncate' and defined $file) { push @{$files[$file]}, {at => $i, synced => 0, cut => ($arguments =~ /, (\d+)$/)[0]} }
    elsif ($call =~ /sync$/ and defined $file) { sync($began, $files[$file]) }
    elsif ($call =~ /sync$/ and ($open eq $run or $open eq $parent)) { sync($began, [grep { $_->{directory} eq $open } @changes]) }
    elsif ($call =~ /^rename/ and defined $file) {
        my $to = inside($strings[1]);
        $names{$to} = delete $names{$name};
        change($i, $run, $name, undef);
        change($i, $run, $to, $file);
        $renamed{$to} = 1;
    }
    elsif ($call =~ /^unlink/ and defined $file) { delete $names{$name}; change($i, $run, $name, undef) }
    elsif ($call eq 'close' and $open eq $run) { # a save ends with the sync of its directory, which this close follows
        for (keys %renamed) {
            if (/^ckpt-(\d+)/) { $finished = $1 if $1 > $finished; $saves++ }
            $best = 1 if $_ eq 'best.h5';
            $begun = 1 if $_ eq 'config.ini'; # before it exists there is no run
        }
        %renamed = ();
    }
    else { next }
    write_states();
}
print "$points points, $states directories", $sampled ? " (sampled)" : "", ", $unsynced times a checkpoint not synced under its name\n";

# --- what a power cut may leave at this point ---
sub bytes_of { # the writes for which `pick` is true
    my ($file, $pick) = @_;
    my $b = '';
    for my $w (grep { $pick->($_) } @{$files[$file]}) {
        my $end = $w->{cut} // $w->{offset};
        $b .= "\0" x ($end - length $b) if $end > length $b;
        if (defined $w->{cut}) { $b = substr($b, 0, $end) } else { substr($b, $w->{offset}, length $w->{bytes}) = $w->{bytes} }
    }
    return $b;
}
sub variants {
    my ($file) = @_;
    my $key = join ',', map { "$_->{at}$_->{synced}" } @{$files[$file]};
    return @{$of_file{"$file $key"} //= do {
        my ($all, $safe) = (bytes_of($file, sub { 1 }), bytes_of($file, sub { $_[0]{synced} }));
        my $length = length $all > length $safe ? length $all : length $safe;
        my ($new, $old) = ($all . "\0" x ($length - length $all), $safe . "\0" x ($length - length $safe));
        my %v = ($all => 1, $safe => 1);
        my @blocks = grep { substr($new, $_ * BLOCK, BLOCK) ne substr($old, $_ * BLOCK, BLOCK) } 0 .. int(($length - 1) / BLOCK);
        my @subsets = @blocks <= 3 ? 0 .. 2 ** @blocks - 1 : map({ (1 << $_, (2 ** @blocks - 1) ^ (1 << $_)) } 0 .. $#blocks);
        for my $subset (@subsets) { for my $torn (0, 1) { # blocks outside the subset are missing, or only their first half is present
            my $b = $new;
            for my $k (grep { !($subset >> $_ & 1) } 0 .. $#blocks) {
                my $from = $blocks[$k] * BLOCK + ($torn ? BLOCK / 2 : 0);
                next if $from >= $length;
                my $n = ($blocks[$k] + 1) * BLOCK - $from;
                $n = $length - $from if $n > $length - $from;
                substr($b, $from, $n) = substr($old, $from, $n);
            }
            $v{substr($b, 0, length $all)} = 1;
            $v{substr($b, 0, length $safe)} = 1;
        } }
        my @ids;
        for my $b (keys %v) {
            push @ids, my $id = md5_hex($b);
            open my $o, '>:raw', "$out/files/$id" or die "$out/files/$id: $!"; print $o $b;
        }
        [sort @ids] }};
}
sub write_states {
    return if $points++ % $every;
    my @loose = grep { !$_->{synced} && ($_->{name} =~ $essential || $_->{directory} eq $parent) } @changes;
    # every subset; in a control, where they accumulate, a sample
    my @subsets = @loose <= 10 ? 0 .. 2 ** @loose - 1 : map { int rand 2 ** @loose } 1 .. 64;
    $sampled ||= @loose > 10;
    for my $subset (@subsets) {
        my (%directory, $there, $k);
        for my $c (@changes) {
            my $is_loose = grep { $_ == $c } @loose;
            next if $is_loose and !($subset >> $k++ & 1);
            if ($c->{directory} eq $parent) { $there = 1 } elsif (defined $c->{file}) { $directory{$c->{name}} = $c->{file} } else { delete $directory{$c->{name}} }
        }
        %directory = () unless $there;
        my @all = ([]);
        for my $name (grep { !/\.tmp$/ && $_ ne 'lock' } sort keys %directory) {
            my @v = variants($directory{$name});
            $unsynced++ if @v > 1 and $name =~ /\.h5$/;
            @v = $v[rand @v] unless $name =~ $essential;
            @all = map { my $f = $_; map { [@$f, "$name=$_"] } @v } @all;
            my $most = $every > 1 ? 4 : 64;
            @all = map { $all[rand @all] } 1 .. $most if @all > $most;
        }
        for my $f (@all) {
            $states++;
            my $must = join ' ', $begun ? ($finished, $saves < $keep ? $saves : $keep, $best) : (-1, 0, 0);
            next if $seen{join ' ', $must, grep { /^([^=]*)/ && $1 =~ $essential } @$f}++;
            open my $o, '>>', "$out/directories" or die; print $o "$must @$f\n";
        }
    }
}
