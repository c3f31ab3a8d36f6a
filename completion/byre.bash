# bash completion for byre; goes to /usr/share/bash-completion/completions/byre.
#
# The program itself says what may come next, names of live rows included: `byre --complete WORDS...`
# prints one candidate a line, the last word being the one that is typed.  Where it offers nothing
# files are completed.

_byre()
{
    local cur=${COMP_WORDS[COMP_CWORD]} line
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD}")

    # bash splits words at = and :, which belong to ours; put them together again.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cword
        _get_comp_words_by_ref -n =: cur words cword
        words=("${words[@]:1:cword}")
    fi

    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" --complete "${words[@]}" 2>/dev/null)

    if ((${#COMPREPLY[@]} == 0)); then
        compopt -o default 2>/dev/null
    elif ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *= ]]; then
        compopt -o nospace 2>/dev/null
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _byre byre
