{#- How a table that grows with time lies in BigQuery: in partitions by month, each sorted by up to four columns, so that
    a question about some months, or about some of the things in `cluster_by`, reads (and pays) only these. For the
    header of a dbt model, with whatever else stands there:

        {{ config(**laid_out(by_month='event_date', cluster_by=['customer_id'])) }}

    `by_month`: a column of days, or of moments with data_type='timestamp'. `cluster_by`: what is joined or asked by,
    the most often asked first. Months, not days: one job may write to 4,000 partitions only, which is eleven years of
    days; and tables of a company of this size have little in a day. DuckDB and PostgreSQL know nothing of this. -#}
{% macro laid_out(by_month, cluster_by, data_type='date') -%}
    {%- set is_bigquery = target.type == 'bigquery' -%}
    {%- set months = {'field': by_month, 'data_type': data_type, 'granularity': 'month'} -%}
    {{ return({
        'partition_by': months if is_bigquery else none,
        'cluster_by': cluster_by if is_bigquery else none,
    }) }}
{%- endmacro %}
