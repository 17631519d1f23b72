{#- A snapshot is of the moment the build is for, as everything else in it: not of the second its statement ran. -#}
{% macro snapshot_get_time() -%}
    {{ as_of() }}
{%- endmacro %}
